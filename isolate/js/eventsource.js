// EventSource (HTML, section 9.2): events that a server sends, over fetch.

import { createAbortSignal, signalAbort } from './abort.js';
import { streamOf } from './body.js';
import { isUint8Array } from './bytes.js';
import { DOMException } from './errors.js';
import { defineEventHandler, dispatch, Event, EventTarget, makeTrusted, MessageEvent } from './events.js';
import { stateOfResponse } from './fetch.js';
import { fetch } from './fetch_client.js';
import { native } from './native.js';
import {
	isolate,
	PromisePrototypeThen,
	RegExpPrototypeExec,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeSet,
	Uint8Array,
} from './primordials.js';
import { acquireReader, readerRead } from './streams/readable.js';
import { clearTimeout, setTimeout } from './timers.js';
import { URL } from './url.js';
import { defineInterface, illegalInvocation, requireArguments, toDictionary, toUSVString } from './webidl.js';

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

const RETRY_MS = 3000;
const RETRY_MOST_MS = 60000;
// Of one event and one line: a server that never ends them is cut off.
const EVENT_LENGTH = 16 << 20;

const LF = 10;
const CR = 13;
const DIGITS = /^[0-9]+$/;

// ---- the stream's lines and events ----

class Parser {
	constructor(source) {
		this.source = source;
		this.line = new Uint8Array(256);
		this.used = 0;
		this.afterReturn = false;
		this.first = true;
		this.data = '';
		this.hasData = false;
		this.type = '';
	}
	// False: too long.
	take(bytes) {
		for (let i = 0; i < bytes.length; i++) {
			const byte = bytes[i];
			if (byte === LF && this.afterReturn) {
				this.afterReturn = false;
				continue;
			}
			this.afterReturn = byte === CR;
			if (byte === LF || byte === CR) {
				this.#endLine();
				if (this.source.readyState === CLOSED) return true;
			} else if (!this.#add(byte)) {
				return false;
			}
		}
		return true;
	}
	#add(byte) {
		if (this.used === this.line.length) {
			if (this.used + this.data.length >= EVENT_LENGTH) return false;
			const larger = new Uint8Array(this.used * 2);
			TypedArrayPrototypeSet(larger, this.line, 0);
			this.line = larger;
		}
		this.line[this.used++] = byte;
		return this.used + this.data.length < EVENT_LENGTH;
	}
	#endLine() {
		// UTF-8 decode takes a byte order mark away at the very beginning only.
		const flags = this.first ? STRIP_BOM : 0;
		const text = native.utf8Decode(new Uint8Array(TypedArrayPrototypeGetBuffer(this.line), 0, this.used), flags);
		this.first = false;
		this.used = 0;
		if (text === '') {
			this.#dispatch();
			return;
		}
		const colon = StringPrototypeIndexOf(text, ':');
		if (colon === 0) return;
		const field = colon < 0 ? text : StringPrototypeSlice(text, 0, colon);
		let value = colon < 0 ? '' : StringPrototypeSlice(text, colon + 1);
		if (value[0] === ' ') value = StringPrototypeSlice(value, 1);
		this.#field(field, value);
	}
	#field(field, value) {
		switch (field) {
			case 'event':
				this.type = value;
				break;
			case 'data':
				this.data += `${value}\n`;
				this.hasData = true;
				break;
			case 'id':
				if (StringPrototypeIndexOf(value, '\0') < 0) this.source.pendingId = value;
				break;
			case 'retry':
				if (RegExpPrototypeExec(DIGITS, value) !== null) this.source.retry = +value;
				break;
		}
	}
	#dispatch() {
		const { data, hasData, source, type } = this;
		source.lastId = source.pendingId;
		this.data = '';
		this.hasData = false;
		this.type = '';
		if (!hasData) return;
		const event = new MessageEvent(type === '' ? 'message' : type, {
			__proto__: null,
			data: StringPrototypeSlice(data, 0, -1),
			lastEventId: source.lastId,
			origin: source.origin,
		});
		dispatch(source.target, makeTrusted(event));
	}
}
isolate(Parser);
const STRIP_BOM = 2;

// ---- the connection ----

class SourceState {
	constructor(target, url, withCredentials) {
		this.target = target;
		this.url = url;
		this.origin = '';
		this.withCredentials = withCredentials;
		this.readyState = CONNECTING;
		this.lastId = '';
		this.pendingId = '';
		this.retry = RETRY_MS;
		this.signal = undefined;
		this.timer = undefined;
		this.reader = undefined;
		this.parser = undefined;
	}
	connect() {
		this.signal = createAbortSignal();
		const headers = [
			['accept', 'text/event-stream'],
			['cache-control', 'no-store'],
		];
		if (this.lastId !== '') headers[2] = ['last-event-id', this.lastId];
		const { signal } = this;
		PromisePrototypeThen(
			fetch(this.url, { __proto__: null, headers, signal }),
			(response) => this.#onResponse(stateOfResponse(response), response),
			() => this.reconnect(),
		);
	}
	#onResponse(state, response) {
		if (this.readyState === CLOSED) return;
		const type = state.headerList().get('content-type') ?? '';
		if (state.status !== 200 || RegExpPrototypeExec(EVENT_STREAM, type) === null || state.body === null) {
			this.close();
			dispatch(this.target, makeTrusted(new Event('error')));
			return;
		}
		this.origin = new URL(response.url || this.url).origin;
		this.readyState = OPEN;
		dispatch(this.target, makeTrusted(new Event('open')));
		if (this.readyState === CLOSED) return;
		this.parser = new Parser(this);
		this.reader = acquireReader(streamOf(state.body));
		this.read();
	}
	read() {
		readerRead(this.reader, {
			__proto__: null,
			chunk: (bytes) => this.chunk(bytes),
			close: () => this.reconnect(),
			error: () => this.reconnect(),
		});
	}

	chunk(bytes) {
		if (this.readyState !== OPEN || !isUint8Array(bytes)) return;
		if (!this.parser.take(bytes)) {
			this.close();
			dispatch(this.target, makeTrusted(new Event('error')));
			return;
		}
		if (this.readyState === OPEN) this.read();
	}
	reconnect() {
		if (this.readyState === CLOSED) return;
		this.readyState = CONNECTING;
		this.pendingId = this.lastId;
		dispatch(this.target, makeTrusted(new Event('error')));
		if (this.readyState === CLOSED) return;
		this.timer = setTimeout(() => this.connect(), this.retry < RETRY_MOST_MS ? this.retry : RETRY_MOST_MS);
	}
	close() {
		this.readyState = CLOSED;
		clearTimeout(this.timer);
		if (this.signal !== undefined)
			signalAbort(this.signal, new DOMException('The EventSource was closed', 'AbortError'));
		this.signal = undefined;
	}
}
isolate(SourceState);
const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i;

export class EventSource extends EventTarget {
	#state;

	constructor(url, eventSourceInitDict = undefined) {
		requireArguments(arguments.length, 1, 'EventSource constructor');
		super();
		const { withCredentials } = toDictionary(eventSourceInitDict, 'EventSource constructor');
		let address;
		try {
			address = new URL(toUSVString(url));
		} catch {
			throw new DOMException(`Invalid URL for EventSource: ${url}`, 'SyntaxError');
		}
		this.#state = new SourceState(this, address.href, Boolean(withCredentials));
		this.#state.connect();
	}
	get url() {
		return #state in this ? this.#state.url : illegalInvocation();
	}
	get withCredentials() {
		return #state in this ? this.#state.withCredentials : illegalInvocation();
	}
	get readyState() {
		return #state in this ? this.#state.readyState : illegalInvocation();
	}
	close() {
		if (!(#state in this)) illegalInvocation();
		this.#state.close();
	}
}
defineInterface(EventSource, 'EventSource', { CONNECTING, OPEN, CLOSED });
for (const type of ['open', 'message', 'error']) defineEventHandler(EventSource.prototype, type);
