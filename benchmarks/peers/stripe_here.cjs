// Loaded before Stripe's server (node --require): its client talks to STUB_PORT here, and not to Stripe.
const Module = require("module");
const load = Module._load;
Module._load = function (name, ...rest) {
  const loaded = load.call(this, name, ...rest);
  if (name !== "stripe" || loaded.here) return loaded;
  const Stripe = loaded.default ?? loaded;
  class Here extends Stripe {
    constructor(key, config) {
      super(key, { ...config, host: "127.0.0.1", port: Number(process.env.STUB_PORT), protocol: "http" });
    }
  }
  return Object.assign(Here, { default: Here, here: true, __esModule: true });
};
