// One end of a WebSocket connection (RFC 6455) over a stream of bytes: frames in and out, the
// closing handshake. Extensions are not spoken.
//
// An owner has onMessage(data, isText) and onClose(code, reason, isClean, error); DATA is bytes of
// its own, or a string.

import { native } from '../native.js';
import {
	Error,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteOffset,
	TypedArrayPrototypeSet,
	TypedArrayPrototypeSlice,
	Uint8Array,
} from '../primordials.js';
import { clearTimeout, setTimeout } from '../timers.js';

const { randomFill, utf8Decode, utf8Encode, websocketMask } = native;

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const FATAL = 1; // utf8Decode

// A longer message closes the connection with 1009: it must fit into the heap, twice.
export const MESSAGE_BYTES = 32 << 20;
const FIRST_BYTES = 4096; // of a message that comes in pieces
const CONTROL_BYTES = 125;
const CLOSE_MS = 5000; // for the peer to answer a close, and then to end the connection

const EMPTY = new Uint8Array(0);

function view(bytes, start, end) {
	return new Uint8Array(
		TypedArrayPrototypeGetBuffer(bytes),
		TypedArrayPrototypeGetByteOffset(bytes) + start,
		end - start,
	);
}

// Codes that a Close frame may carry (section 7.4).
export function isCloseCode(code) {
	return (
		(code >= 1000 && code <= 1003) ||
		(code >= 1007 && code <= 1014) ||
		(code >= 3000 && code <= 4999)
	);
}

export class Endpoint {
	constructor(owner, isServer) {
		this.owner = owner;
		this.isServer = isServer;
		this.socket = undefined;
		this.buffered = 0; // bytes of messages that were not given to the kernel
		this.timer = undefined;
		this.error = undefined;
		// The closing handshake.
		this.sentClose = false;
		this.failed = false;
		this.over = false;
		this.code = 1006; // what the peer said
		this.reason = '';
		this.gotClose = false;
		// The frame under way.
		this.head = new Uint8Array(14);
		this.headUsed = 0;
		this.headSize = 2;
		this.opcode = 0;
		this.final = false;
		this.left = -1; // of its payload; -1: the head is not complete
		this.key = undefined;
		this.phase = 0;
		this.control = undefined; // payload of a control frame
		this.controlUsed = 0;
		// The message under way.
		this.kind = 0;
		this.message = EMPTY;
		this.used = 0;
		// A ping that could not be answered yet. The newest counts (section 5.5.3).
		this.pong = undefined;
		this.ponging = false;
	}

	// ---- the stream ----

	// SOCKET is a Duplex of bytes; HEAD was read from it before.
	attach(socket, head) {
		this.socket = socket;
		socket.on('data', (bytes) => this.receive(bytes));
		socket.on('end', () => this.onEnd());
		socket.on('error', (error) => {
			this.error ??= error;
		});
		socket.on('close', () => this.onStreamClose());
		if (head.length > 0) this.receive(head);
		if (socket.destroyed) this.onStreamClose();
		else socket.resume();
	}
	onEnd() {
		if (this.socket.writableEnded !== true) this.socket.end();
	}
	onStreamClose() {
		if (this.over) return;
		this.over = true;
		clearTimeout(this.timer);
		this.message = EMPTY;
		const isClean = this.gotClose && this.sentClose && !this.failed;
		this.owner.onClose(this.code, this.reason, isClean, this.error);
	}
	// Ends the stream when all is written, and in any case soon.
	#end() {
		this.socket.end();
		this.#expire();
	}
	#expire() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.socket.destroy(), CLOSE_MS);
	}
	destroy() {
		this.socket?.destroy();
	}

	// ---- sending ----

	// BYTES is not kept, and not changed. DONE is called when the kernel has them.
	#frame(opcode, bytes, done) {
		const length = bytes.length;
		const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
		const start = 2 + extended + (this.isServer ? 0 : 4);
		const frame = new Uint8Array(start + length);
		frame[0] = 0x80 | opcode;
		frame[1] = (this.isServer ? 0 : 0x80) | (extended === 0 ? length : extended === 2 ? 126 : 127);
		if (extended === 2) {
			frame[2] = length >> 8;
			frame[3] = length & 255;
		} else if (extended === 8) {
			let rest = length;
			for (let i = 9; i > 1; i--) {
				frame[i] = rest % 256;
				rest = (rest - frame[i]) / 256;
			}
		}
		TypedArrayPrototypeSet(frame, bytes, start);
		if (!this.isServer) {
			const key = new Uint8Array(4);
			randomFill(key);
			TypedArrayPrototypeSet(frame, key, start - 4);
			websocketMask(frame, start, length, key, 0);
		}
		this.socket.write(frame, done);
	}
	send(bytes, isText) {
		if (this.sentClose || this.over || this.socket === undefined) return;
		const { length } = bytes;
		this.buffered += length;
		this.#frame(isText ? TEXT : BINARY, bytes, () => {
			this.buffered -= length;
		});
	}
	// CODE 1005: none is said. REASON: bytes.
	close(code, reason) {
		if (this.sentClose || this.over) return;
		this.#sendClose(code, reason);
		this.#expire();
	}
	#sendClose(code, reason) {
		this.sentClose = true;
		const payload = new Uint8Array(code === 1005 ? 0 : 2 + reason.length);
		if (code !== 1005) {
			payload[0] = code >> 8;
			payload[1] = code & 255;
			TypedArrayPrototypeSet(payload, reason, 2);
		}
		this.#frame(CLOSE, payload, undefined);
	}
	// The peer has broken the rules.
	fail(code, text) {
		if (this.failed || this.over) return;
		this.failed = true;
		this.error ??= new Error(text);
		this.left = -1;
		this.message = EMPTY;
		if (!this.sentClose) this.#sendClose(code, utf8Encode(text));
		this.#end();
	}
	// A peer that asks and does not listen gets one answer, not a queue of them.
	#answer(payload) {
		if (this.sentClose) return;
		if (this.ponging) {
			this.pong = payload;
			return;
		}
		this.ponging = true;
		this.#frame(PONG, payload, () => {
			this.ponging = false;
			const waiting = this.pong;
			this.pong = undefined;
			if (waiting !== undefined && !this.over) this.#answer(waiting);
		});
	}

	// ---- receiving ----

	receive(bytes) {
		let at = 0;
		while (!this.failed && !this.over && !this.gotClose) {
			if (this.left < 0) {
				at = this.#readHead(bytes, at);
				if (this.left < 0) return;
			}
			const end = bytes.length - at < this.left ? bytes.length : at + this.left;
			if (end > at && !this.#take(view(bytes, at, end))) return;
			this.left -= end - at;
			at = end;
			if (this.left > 0) return;
			this.left = -1;
			this.headUsed = 0;
			this.headSize = 2;
			this.#finishFrame();
		}
	}
	// Returns where the payload begins.
	#readHead(bytes, at) {
		const { head } = this;
		while (at < bytes.length) {
			head[this.headUsed++] = bytes[at++];
			if (this.headUsed === 2 && !this.#checkHead()) return at;
			if (this.headUsed < this.headSize) continue;
			this.#beginPayload();
			return at;
		}
		return at;
	}
	#checkHead() {
		const { head, isServer } = this;
		const length = head[1] & 127;
		const isMasked = head[1] >= 128;
		this.final = head[0] >= 128;
		this.opcode = head[0] & 15;
		this.headSize = 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (isMasked ? 4 : 0);
		let wrong;
		if (head[0] & 0x70) wrong = 'a reserved bit is set';
		else if (isMasked !== isServer) wrong = isServer ? 'a frame is not masked' : 'a frame is masked';
		else if (this.opcode >= CLOSE) {
			if (this.opcode > PONG) wrong = 'an unknown opcode';
			else if (!this.final) wrong = 'a control frame is fragmented';
			else if (length > CONTROL_BYTES) wrong = 'a control frame is too long';
		} else if (this.opcode > BINARY) wrong = 'an unknown opcode';
		else if (this.opcode === CONTINUATION && this.kind === 0) wrong = 'nothing is to be continued';
		else if (this.opcode !== CONTINUATION && this.kind !== 0) wrong = 'a message is not finished';
		if (wrong === undefined) return true;
		this.fail(1002, wrong);
		return false;
	}
	#beginPayload() {
		const { head } = this;
		let length = head[1] & 127;
		if (length === 126) {
			length = head[2] * 256 + head[3];
		} else if (length === 127) {
			length = 0;
			for (let i = 2; i < 10; i++) length = length * 256 + head[i];
			if (head[2] >= 128) {
				this.fail(1002, 'a length is negative');
				return;
			}
		}
		if (this.isServer) this.key = TypedArrayPrototypeSlice(head, this.headSize - 4, this.headSize);
		this.phase = 0;
		if (this.opcode >= CLOSE) {
			this.control = new Uint8Array(length);
			this.controlUsed = 0;
		} else {
			if (this.used + length > MESSAGE_BYTES) {
				this.fail(1009, 'a message is too long');
				return;
			}
			if (this.opcode !== CONTINUATION) this.kind = this.opcode;
		}
		this.left = length;
	}
	// Part of a payload.
	#take(bytes) {
		const { length } = bytes;
		if (this.opcode >= CLOSE) {
			TypedArrayPrototypeSet(this.control, bytes, this.controlUsed);
			this.#unmask(this.control, this.controlUsed, length);
			this.controlUsed += length;
			return true;
		}
		this.#reserve(length);
		TypedArrayPrototypeSet(this.message, bytes, this.used);
		this.#unmask(this.message, this.used, length);
		this.used += length;
		return true;
	}
	#unmask(target, offset, length) {
		if (!this.isServer) return;
		websocketMask(target, offset, length, this.key, this.phase & 3);
		this.phase += length;
	}
	// What has not come takes no memory, whatever its length says.
	#reserve(length) {
		const needed = this.used + length;
		if (needed <= this.message.length) return;
		let size = this.message.length * 2;
		if (size < FIRST_BYTES) size = FIRST_BYTES;
		if (size < needed) size = needed;
		// All of a message that came at once is no longer than it is.
		if (this.used === 0 && length === this.left && this.final) size = length;
		if (size > MESSAGE_BYTES) size = MESSAGE_BYTES;
		const larger = new Uint8Array(size);
		if (this.used > 0) TypedArrayPrototypeSet(larger, view(this.message, 0, this.used), 0);
		this.message = larger;
	}
	#finishFrame() {
		if (this.opcode >= CLOSE) {
			const { control } = this;
			this.control = undefined;
			if (this.opcode === CLOSE) this.#onClose(control);
			else if (this.opcode === PING) this.#answer(control);
			return;
		}
		if (!this.final) return;
		const { kind, message, used } = this;
		this.kind = 0;
		this.message = EMPTY;
		this.used = 0;
		if (kind === BINARY) {
			this.owner.onMessage(
				used === message.length ? message : TypedArrayPrototypeSlice(message, 0, used),
				false,
			);
			return;
		}
		const text = this.#decode(view(message, 0, used));
		if (text !== undefined) this.owner.onMessage(text, true);
	}
	#decode(bytes) {
		try {
			return utf8Decode(bytes, FATAL);
		} catch {
			this.fail(1007, 'a text is not UTF-8');
			return undefined;
		}
	}
	#onClose(payload) {
		let code = 1005;
		let reason = '';
		if (payload.length === 1) {
			this.fail(1002, 'half a close code');
			return;
		}
		if (payload.length > 1) {
			code = payload[0] * 256 + payload[1];
			if (!isCloseCode(code)) {
				this.fail(1002, 'an invalid close code');
				return;
			}
			reason = this.#decode(view(payload, 2, payload.length));
			if (reason === undefined) return;
		}
		this.gotClose = true;
		this.code = code;
		this.reason = reason;
		this.owner.onClosing?.();
		if (!this.sentClose) this.#sendClose(code, EMPTY);
		// The server ends the connection first (section 7.1.1).
		if (this.isServer) this.#end();
		else this.#expire();
	}
}
