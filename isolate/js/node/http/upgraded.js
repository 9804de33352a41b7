// A connection of the HTTP server that became a WebSocket (../../server.js): C hands it over.

import { hooks } from '../../hooks.js';
import { takeUpgrade } from '../../server.js';
import { serve } from '../../websocket/pair.js';
import { keepContext } from '../net/handle.js';
import { Socket } from '../net/socket.js';
import { TlsHandle } from '../tls/handle.js';

// STREAM: a NetStream; SESSION: a TlsSession over it, or undefined; BYTES: read already.
hooks.onUpgraded = (slot, generation, stream, session, bytes) => {
	const upgrade = takeUpgrade(slot);
	if (upgrade === undefined) {
		stream.close(false);
		return;
	}
	keepContext(stream);
	let handle = stream;
	if (session !== undefined) {
		handle = new TlsHandle(undefined, true, session);
		handle.attach(stream, undefined);
	}
	const socket = new Socket({ handle, allowHalfOpen: true, manualStart: true });
	socket.setNoDelay(true);
	socket.write(upgrade.head(), 'latin1');
	const protocol = upgrade.list.get('sec-websocket-protocol') ?? '';
	serve(upgrade.webSocket, upgrade.exchange.url(), protocol, socket, bytes);
};
