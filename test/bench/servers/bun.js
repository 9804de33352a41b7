import app from './tenantd.js';
Bun.serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: app.fetch });
