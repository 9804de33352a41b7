import app from './runtime.js';
Bun.serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', idleTimeout: 0, fetch: app.fetch });
