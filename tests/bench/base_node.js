'use strict';
/* Node's own cluster, round robin: the primary accepts and sends each connection to a worker.
 * Options as for the other baselines: --workers N --port P --seconds S. */
const cluster = require('node:cluster');
const net = require('node:net');

const BACKLOG = 4096;

function option(name, otherwise) {
  const at = process.argv.indexOf('--' + name);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

function runPrimary() {
  const count = option('workers', 4);
  const seconds = option('seconds', 0);
  const workers = [];
  let listening = 0;

  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.on('listening', (worker, address) => {
    if (++listening === count)
      console.log(`ready port=${address.port} workers=${workers.map((w) => w.process.pid).join(',')}`);
  });
  for (let i = 0; i < count; i++)
    workers.push(cluster.fork({ BENCH_INDEX: i }));
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.on(signal, () => process.exit(0));        // workers leave when the channel closes
  if (seconds)
    setTimeout(() => process.exit(0), seconds * 1000);
}

function runWorker() {
  const answer = Buffer.from([Number(process.env.BENCH_INDEX)]);
  const server = net.createServer((conn) => {
    conn.on('error', () => {});
    conn.end(answer, () => conn.destroy());        // the client answers with a reset; do not wait for its end
  });

  server.listen({ host: '::', port: option('port', 0), backlog: BACKLOG, ipv6Only: false });
}

if (cluster.isPrimary)
  runPrimary();
else
  runWorker();
