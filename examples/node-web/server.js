import { createServer } from 'node:http';
import ms from 'ms';

const started = Date.now();
const port = Number(process.env.PORT ?? 8080);

createServer((request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(`${request.method} ${request.url}: up for ${ms(Date.now() - started)}\n`);
}).listen(port, () => console.log(`listening on ${port}`));
