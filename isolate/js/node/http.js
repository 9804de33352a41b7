// node:http and node:https: Node's own library over node:net and node:tls. What the worker's
// life wants of its servers is in http/serving.js.

import './http_binding.js';
import agent from './upstream/_http_agent.js';
import client from './upstream/_http_client.js';
import common from './upstream/_http_common.js';
import http from './upstream/http.js';
import https from './upstream/https.js';
import incoming from './upstream/_http_incoming.js';
import outgoing from './upstream/_http_outgoing.js';
import server from './upstream/_http_server.js';
import { registerBuiltin } from './registry.js';
import './http/serving.js';
import './http/upgraded.js';
import { isIP } from './own/internal/net.js';
import { net } from './net.js';
import { tls } from './tls.js';
import { setLibrary } from '../websocket/connect.js';

const modules = {
	__proto__: null,
	http,
	https,
	_http_agent: agent,
	_http_client: client,
	_http_common: common,
	_http_incoming: incoming,
	_http_outgoing: outgoing,
	_http_server: server,
};
for (const name of Object.keys(modules)) registerBuiltin(name, () => modules[name]);

setLibrary({
	__proto__: null,
	ClientRequest: client.ClientRequest,
	connectPlain: net.connect,
	connectSecure: tls.connect,
	isIP,
});

export { http, https };
