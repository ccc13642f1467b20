// The TypeScript clients against a server: `node --input-type=module - v1|legacy|auto|modern ROOT COMMAND ARGS…`
// Read from stdin, so that its imports are found in the folder node is started in.
const [kind, cwd, command, ...args] = process.argv.slice(2);
const v1 = kind === "v1";
const { Client } = await import(v1 ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client");
const { StdioClientTransport } = await import(
  v1 ? "@modelcontextprotocol/sdk/client/stdio.js" : "@modelcontextprotocol/client/stdio"
);
const negotiation = kind === "modern" ? { pin: "2026-07-28" } : kind;
const client = new Client(
  { name: "test", version: "1" },
  { capabilities: {}, ...(v1 ? {} : { versionNegotiation: { mode: negotiation } }) },
);
const errors = [];
client.onerror = (error) => errors.push(String(error));
const transport = new StdioClientTransport({ command, args, cwd, stderr: "ignore" });
await client.connect(transport);
const attempt = async (action) => {
  try {
    return await action();
  } catch (error) {
    return { code: error.code, message: error.message };
  }
};
const call = (name, given, options) =>
  attempt(() =>
    v1 ? client.callTool({ name, arguments: given }, undefined, options) : client.callTool({ name, arguments: given }, options),
  );
const said = {
  era: v1 ? "legacy" : client.getProtocolEra?.(),
  server: client.getServerVersion(),
  capabilities: client.getServerCapabilities(),
  instructions: client.getInstructions(),
  tools: (await client.listTools()).tools,
  item: await call("shop_get_item", { item: "é" }),
  denied: await call("shop_get_item", { item: "7", deny: "too much" }),
  unknown: await call("no_such", {}),
  together: (
    await Promise.all([...Array(50).keys()].map((n) => call("shop_get_item", { item: String(n) })))
  ).map((result) => JSON.parse(result.content[0].text).item),
};
const stop = new AbortController();
setTimeout(() => stop.abort("enough"), 100);
const cancelled = call("shop_get_item", { item: "7", sleep: 30 }, { signal: stop.signal });
said.cancelled = (await cancelled).message;
said.after = await call("shop_get_item", { item: "8" });
const { pid } = transport;
const started = performance.now();
await client.close();
said.closed = performance.now() - started;
said.errors = errors;
said.alive = (() => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
})();
console.log(JSON.stringify(said));
