// Two apps' TypeScript clients on one endpoint: `node --input-type=module - v1|legacy|auto|modern URL KEY KEY`
// Read from stdin, so that its imports are found in the folder node is started in.
const [kind, url, ...keys] = process.argv.slice(2);
const v1 = kind === "v1";
const { Client } = await import(v1 ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client");
const { StreamableHTTPClientTransport } = await import(
  v1 ? "@modelcontextprotocol/sdk/client/streamableHttp.js" : "@modelcontextprotocol/client"
);
const negotiation = kind === "modern" ? { pin: "2026-07-28" } : kind;
const open = async (key) => {
  const client = new Client(
    { name: "test", version: "1" },
    { capabilities: {}, ...(v1 ? {} : { versionNegotiation: { mode: negotiation } }) },
  );
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
};
const attempt = async (action) => {
  try {
    return await action();
  } catch (error) {
    return { code: error.code, message: error.message };
  }
};
const clients = [await open(keys[0]), await open(keys[1])];
const names = (client) => attempt(async () => (await client.listTools()).tools.map((tool) => tool.name));
const listed = () => Promise.all(clients.map(names));
const call = (client, name, given) => attempt(() => client.callTool({ name, arguments: given }));
const said = {
  era: clients.map((client) => (v1 ? "legacy" : client.getProtocolEra?.())),
  instructions: clients.map((client) => client.getInstructions()),
  capabilities: clients.map((client) => client.getServerCapabilities()),
  before: await listed(),
  denied: await call(clients[0], "shop_create_order", { amount: 501, currency: "usd" }),
  unknown: await call(clients[0], "no_such", {}),
  together: (
    await Promise.all([...Array(30).keys()].map((n) => call(clients[n % 2], "shop_list_orders", { status: `${n}` })))
  ).map((result) => result.content?.[0].text),
  toggled: await call(clients[0], "shop_send_note", { to: "toggle", text: "" }),
  after: await listed(),
  revoked: await call(clients[0], "shop_send_note", { to: "revoke", text: "" }),
  last: await listed(),
  refused: await attempt(async () => names(await open("mgw_" + "y".repeat(43)))),
};
for (const client of clients) await client.close();
console.log(JSON.stringify(said));
