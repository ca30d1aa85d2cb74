// Sends the requests it reads with Node's `fetch`, which keeps connections.
let input = "";
for await (const chunk of process.stdin) input += chunk;
const outcomes = [];
for (const { method, url, headers, size, patience } of JSON.parse(input)) {
  try {
    const body = size > 0 ? new Uint8Array(size) : undefined;
    const answer = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(patience * 1000) });
    await answer.arrayBuffer();
    outcomes.push(answer.status);
  } catch (error) {
    outcomes.push(`${error} ${error.cause ?? ""}`);
  }
}
process.stdout.write(JSON.stringify(outcomes));
