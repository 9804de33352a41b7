// A handle (../net/handle.js) that speaks TLS over another one, and a handle over any
// Duplex, for TLS on what is no socket.

import { native } from '../../native.js';
import { ArrayIsArray, ArrayPrototypePush, Symbol, TypeError } from '../../primordials.js';
import { enqueueTick } from '../../ticks.js';
import { isUint8Array } from '../../bytes.js';
import { ErrnoException, errorNumber } from '../errors.js';
import { connectionReset } from '../net/errors.js';
import { CLOSE, handleOwner, onHandle, READ, SHUTDOWN, WRITE } from '../net/handle.js';

export const onSecure = Symbol('onSecure'); // the handshake is done
export const onServername = Symbol('onServername'); // a server wants a context for the name
export const onTicket = Symbol('onTicket');

const BATCH = 65536; // bytes that are encrypted before they are sent

export class TlsHandle {
	// SESSION: one that goes on, whose handshake is done.
	constructor(context, isServer, session = undefined) {
		this.session = session ?? new native.TlsSession(context, isServer);
		this.lower = undefined;
		this.parent = undefined; // the net.Socket or Duplex that LOWER was taken from
		this.secure = session !== undefined;
		this.failed = false;
		this.closed = false;
		this.reading = false;
		this.scheduled = false;
		this.inputEnded = false;
		this.ended = false; // the owner was told of the end
		this.shutdownWanted = false;
		this.finished = false; // our side has ended
		this.busy = false; // LOWER has a write under way
		this.list = undefined; // of the write under way
		this.index = 0;
		this.offset = 0;
		this.bytesRead = 0;
		this.bytesWritten = 0;
	}

	attach(lower, parent) {
		this.lower = lower;
		this.parent = parent;
		lower[handleOwner] = this;
	}
	asyncReset() {
		this.lower?.asyncReset?.();
	}
	getAsyncId() {
		return 0;
	}
	getProviderType() {
		return 0;
	}
	// Bytes of LOWER that somebody else had read before.
	receive(bytes) {
		this.session.feed(bytes);
	}
	start() {
		const error = this.lower.readStart();
		if (error < 0) this.#tell(READ, error);
		else this.advance();
	}
	#tell(event, value) {
		this[handleOwner]?.[onHandle](event, value);
	}

	// ---- the handshake ----

	advance() {
		if (this.secure || this.failed || this.closed) return;
		let result;
		try {
			result = this.session.advance();
		} catch (error) {
			this.#flush(); // the alert that tells the peer why
			this.#fail(error);
			return;
		}
		if (this.#flush() < 0 || this.closed) return;
		if (result === 2) {
			this[handleOwner][onServername]();
			return;
		}
		if (result !== 1) return;
		this.secure = true;
		this[handleOwner][onSecure]();
		if (this.closed) return;
		this.#goOn();
		this.#deliver();
	}
	#cutOff() {
		this.#fail(
			connectionReset('Client network socket disconnected before secure TLS connection was established'),
		);
	}
	#fail(error) {
		if (this.failed || this.closed) return;
		this.failed = true;
		if (this.list === undefined || error?.library === undefined) {
			this.list = undefined;
			this.#tell(READ, error);
			return;
		}
		// As Node: whoever waits to write hears of it.
		this.list = undefined;
		this.#tell(WRITE, new ErrnoException(errorNumber('EPROTO'), 'write', error.message));
	}

	// ---- reading ----

	readStart() {
		this.reading = true;
		if (this.lower === undefined || this.closed) return 0;
		const error = this.inputEnded ? 0 : this.lower.readStart();
		if (this.secure && !this.scheduled) {
			this.scheduled = true;
			enqueueTick(() => {
				this.scheduled = false;
				this.#deliver();
			}, []);
		}
		return error < 0 ? error : 0;
	}
	readStop() {
		this.reading = false;
		return 0;
	}
	#deliver() {
		while (this.reading && this.secure && !this.ended && !this.failed && !this.closed) {
			let bytes;
			try {
				bytes = this.session.read();
			} catch (error) {
				this.#flush();
				// Whoever has ended does not care how the other side does.
				if (this.inputEnded && this.finished) this.#end();
				else this.#fail(error);
				return;
			}
			this.#flush(); // answers of the protocol's own
			if (this.closed) return;
			this.#tickets();
			if (bytes === undefined) break;
			if (bytes === null) {
				this.#end();
				return;
			}
			this.bytesRead += bytes.length;
			this.#tell(READ, bytes);
		}
		// What nobody reads stays with the peer.
		if (this.secure && !this.reading && !this.closed && !this.inputEnded) this.lower.readStop();
	}
	#end() {
		this.ended = true;
		this.#tell(READ, undefined);
	}
	#tickets() {
		for (let ticket; (ticket = this.session.ticket()) !== undefined; )
			this[handleOwner]?.[onTicket](ticket);
	}

	// ---- writing ----

	// Sends what the session has ready. A negative number of the lower handle's.
	#flush() {
		if (this.busy || this.closed) return 0;
		const out = this.session.pull();
		if (out === undefined) return 0;
		const result = this.lower.write(out);
		if (result === 1) this.busy = true;
		if (result < 0) this.#lost(result);
		return result < 0 ? result : 0;
	}
	// The connection does not take what we write any more.
	#lost(error) {
		if (this.list !== undefined) {
			this.list = undefined;
			this.#tell(WRITE, error);
		} else {
			this.#fail(error);
		}
	}
	write(chunks) {
		this.list = ArrayIsArray(chunks) ? chunks : [chunks];
		this.index = 0;
		this.offset = 0;
		try {
			return this.#encrypt();
		} catch (error) {
			this.list = undefined;
			return error;
		}
	}
	// 0 when all is with the lower handle, 1 when it goes on later.
	#encrypt() {
		let batch = 0;
		while (this.secure && !this.busy && this.list !== undefined) {
			if (this.index === this.list.length) {
				if (batch > 0) {
					batch = 0;
					const error = this.#flush();
					if (error < 0) return error;
					continue;
				}
				this.list = undefined;
				return 0;
			}
			const chunk = this.list[this.index];
			if (this.offset >= chunk.length) {
				this.index++;
				this.offset = 0;
				continue;
			}
			const taken = this.session.write(chunk, this.offset);
			if (taken === 0) return 1;
			this.offset += taken;
			this.bytesWritten += taken;
			batch += taken;
			if (batch < BATCH) continue;
			batch = 0;
			const error = this.#flush();
			if (error < 0) return error;
		}
		return 1;
	}
	// After the handshake, or when the lower handle is free again.
	#goOn() {
		if (this.closed || this.failed) return;
		if (this.#flush() < 0) return;
		if (this.list !== undefined) {
			let result;
			try {
				result = this.#encrypt();
			} catch (error) {
				this.list = undefined;
				result = error;
			}
			if (result !== 1) this.#tell(WRITE, result);
		}
		if (this.shutdownWanted && this.secure && !this.busy && !this.closed) this.#sendEnd();
	}
	#sendEnd() {
		this.shutdownWanted = false;
		this.finished = true;
		this.session.shutdown();
		this.#flush();
		const error = this.closed ? 0 : this.lower.shutdown();
		if (error < 0) this.#tell(SHUTDOWN, error);
	}
	shutdown() {
		if (this.lower === undefined || this.closed || this.failed) return -107; // ENOTCONN
		this.shutdownWanted = true;
		if (this.secure && !this.busy) this.#sendEnd();
		return 0;
	}

	// ---- what the lower handle says ----

	[onHandle](event, value) {
		switch (event) {
			case READ:
				this.#input(value);
				break;
			case WRITE:
				this.busy = false;
				if (value < 0 || typeof value === 'object') this.#lost(value);
				else this.#goOn();
				break;
			case SHUTDOWN:
				this.#tell(SHUTDOWN, value);
				break;
			case CLOSE:
				this.closed = true;
				// Of a socket, the owner hears when that one has closed.
				if (this.parent?.[onHandle] !== undefined) this.parent[onHandle](CLOSE);
				else this.#tell(CLOSE);
				break;
		}
	}
	#input(value) {
		if (this.closed || this.failed) return;
		if (value !== undefined && !isUint8Array(value)) {
			this.#fail(value);
			return;
		}
		if (value === undefined) {
			this.inputEnded = true;
			if (!this.secure) {
				this.#cutOff();
				return;
			}
			this.session.feedEnd();
		} else {
			try {
				this.session.feed(value);
			} catch (error) {
				this.#fail(error);
				return;
			}
			if (!this.secure) this.advance();
		}
		this.#deliver();
	}

	// ---- the rest of a handle ----

	close(reset) {
		if (this.closed) return false;
		this.closed = true;
		const { parent } = this;
		if (this.lower === undefined) return false;
		if (parent === undefined) return this.lower.close(reset);
		if (parent.destroyed && parent.closed) return false;
		parent.once('close', () => this.#tell(CLOSE));
		parent.destroy();
		return true;
	}
	address(peer) {
		return this.lower?.address(peer);
	}
	ref() {
		this.lower?.ref();
	}
	unref() {
		this.lower?.unref();
	}
	hasRef() {
		return this.lower?.hasRef() ?? false;
	}
	hasInput() {
		return this.lower?.hasInput?.() ?? false;
	}
	setNoDelay(enable) {
		return this.lower?.setNoDelay(enable) ?? 0;
	}
	setKeepAlive(enable, delay) {
		return this.lower?.setKeepAlive(enable, delay) ?? 0;
	}
}

export class DuplexHandle {
	constructor(duplex) {
		this.duplex = duplex;
		this.bytesRead = 0;
		this.bytesWritten = 0;
		this.ended = false;
		duplex.on('data', (chunk) => {
			const bytes = isUint8Array(chunk) ? chunk : undefined;
			if (bytes !== undefined) this.bytesRead += bytes.length;
			this[handleOwner]?.[onHandle](READ, bytes ?? new TypeError('the stream under TLS gives no bytes'));
		});
		duplex.on('error', (error) => this[handleOwner]?.[onHandle](READ, error));
		const onEnd = () => {
			if (this.ended) return;
			this.ended = true;
			this[handleOwner]?.[onHandle](READ, undefined);
		};
		duplex.on('end', onEnd);
		duplex.on('close', onEnd);
		duplex.pause();
	}
	asyncReset() {}
	getAsyncId() {
		return 0;
	}
	getProviderType() {
		return 0;
	}
	readStart() {
		this.duplex.resume();
		return 0;
	}
	readStop() {
		this.duplex.pause();
		return 0;
	}
	write(chunk) {
		this.duplex.write(chunk, (error) => {
			if (!error) this.bytesWritten += chunk.length;
			this[handleOwner]?.[onHandle](WRITE, error ?? 0);
		});
		return 1;
	}
	shutdown() {
		this.duplex.end(() => this[handleOwner]?.[onHandle](SHUTDOWN, 0));
		return 0;
	}
	close() {
		this.duplex.destroy();
		return true;
	}
	address() {
		return undefined;
	}
	ref() {
		this.duplex.ref?.();
	}
	unref() {
		this.duplex.unref?.();
	}
	hasRef() {
		return true;
	}
	setNoDelay() {
		return 0;
	}
	setKeepAlive() {
		return 0;
	}
}

// What was read of SOCKET already, and nobody has taken.
export function takeBuffered(socket) {
	const chunks = [];
	for (let chunk; socket.readableLength > 0 && (chunk = socket.read()) !== null; )
		ArrayPrototypePush(chunks, chunk);
	return chunks;
}
