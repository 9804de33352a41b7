// There is no postMessageToThread here: the port that each thread would have to the first one
// is closed on that side.

import { MessageChannel } from '../../../../messaging/port.js';
import { codes } from '../../../errors.js';

export function createMainThreadPort() {
	const { port1, port2 } = new MessageChannel();
	port1.close();
	return port2;
}

export function destroyMainThreadPort() {}

export function postMessageToThread() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('worker_threads.postMessageToThread()');
}
