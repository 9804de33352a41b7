// What upstream/http.js asks of Node's fetch. Proxies are no affair of the program's here:
// fetch goes through the egress process.

export { CloseEvent, MessageEvent, WebSocket } from '../../../../../websocket.js';

export class EnvHttpProxyAgent {}
const dispatcher = {};
export function getGlobalDispatcher() {
	return dispatcher;
}
export function setGlobalDispatcher() {}
