// With @types/node.
/// <reference types="node" />
import { createServer } from 'node:net';
import type { Service, Permissions } from 'tenantd';

const permission = process.permission as unknown as Permissions;
if (!permission.has('fs.read', '/srv/data')) process.exitCode = 1;
permission.drop('net');
createServer((socket) => socket.end(Buffer.from('x'))).listen({ port: 0 });
export default { fetch: () => new Response('x') } satisfies Service;
