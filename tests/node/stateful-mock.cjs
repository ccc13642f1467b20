// Runs stripe-stateful-mock on 127.0.0.1 and a free port, which it prints; its own command listens on all interfaces.
"use strict";

const { createExpressApp } = require("stripe-stateful-mock");

const server = createExpressApp().listen(0, "127.0.0.1", () => console.log(server.address().port));
