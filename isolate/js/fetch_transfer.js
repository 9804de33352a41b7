// One exchange with another server, above libcurl (isolate/native_fetch.c): sending the
// request's body, receiving the response's, both as fast as the other side takes them.
//
// C knows a transfer by its number. What waits for C's answer is in a map here, and so
// kept alive; a response that nobody reads any more is not, and when it is collected its
// transfer is ended.

import {
	isolate,
	PromisePrototypeThen,
	PromiseResolve,
	PromiseWithResolvers,
	SafeMap,
	StringPrototypeCharCodeAt,
	TypeError,
	Uint8Array,
	uncurryThis,
	WeakRef,
	WeakRefPrototypeDeref,
} from './primordials.js';
import { addAbortAlgorithm, abortReason, isAborted } from './abort.js';
import { closeByteStream } from './blob.js';
import { isUint8Array } from './bytes.js';
import { decodeUtf8 } from './encoding.js';
import { causeOf, networkError, transferError } from './fetch_errors.js';
import { hooks } from './hooks.js';
import { native } from './native.js';
import { byteControllerEnqueue, byteControllerError } from './streams/bytes.js';
import { acquireReader, createByteState, readableCancel, readerRead } from './streams/readable.js';

const {
	fetchAbort,
	fetchDiscard,
	fetchError,
	fetchRead,
	fetchStart,
	fetchWhole,
	fetchWrite,
	fetchWriteEnd,
} = native;

const { FinalizationRegistry } = globalThis;
const FinalizationRegistryPrototypeRegister = uncurryThis(FinalizationRegistry.prototype.register);
let collected;

// By number: who waits for the head, for more of the body, for room.
const heads = new SafeMap();
const bodies = new SafeMap();
const pumps = new SafeMap();

const KIND_TEXT = 0; // isolate/js/body.js

function ignore() {}

// ---- the request's body ----

// Sends the chunks of STREAM. failed(reason) is called when it cannot go on.
class Pump {
	constructor(id, stream, failed) {
		this.id = id;
		this.stream = stream;
		this.failed = failed;
		this.reader = acquireReader(stream);
		this.running = false;
		this.again = false;
		this.over = false;
		pumps.set(id, this);
	}
	// Chunks that are there already come at once: a loop, not recursion.
	read() {
		this.again = true;
		if (this.running) return;
		this.running = true;
		while (this.again && !this.over) {
			this.again = false;
			readerRead(this.reader, this);
		}
		this.running = false;
	}
	chunk(value) {
		if (this.over) return;
		if (!isUint8Array(value)) {
			this.fail(new TypeError('a chunk of the request body is not a Uint8Array'));
			return;
		}
		const result = fetchWrite(this.id, value);
		if (result === true) this.read();
		else if (result === undefined) this.cancel(causeOf('ECONNRESET', 'the request is over'));
		else if (result === null)
			this.fail(new TypeError('the request body is longer than its content-length'));
	}
	close() {
		if (this.over) return;
		this.#end();
		if (!fetchWriteEnd(this.id))
			this.failed(new TypeError('the request body is shorter than its content-length'));
	}
	error(reason) {
		if (this.over) return;
		this.#end();
		this.failed(reason);
	}
	fail(error) {
		this.cancel(error);
		this.failed(error);
	}
	// Nobody wants the rest.
	cancel(reason) {
		if (this.over) return;
		this.#end();
		PromisePrototypeThen(readableCancel(this.stream, reason), undefined, ignore);
	}
	#end() {
		this.over = true;
		pumps.delete(this.id);
	}
}
isolate(Pump);

// ---- the response's body ----

function aborter(incoming) {
	const reference = new WeakRef(incoming);
	return (reason) => {
		WeakRefPrototypeDeref(reference)?.abort(reason);
	};
}

// The source of a Body (isolate/js/body.js).
export class Incoming {
	constructor(id, target, signal) {
		this.id = id;
		this.target = target;
		this.error = undefined; // why it ended
		this.waiting = undefined; // { kind, resolve, reject } of whoever waits for more
		this.bodyState = undefined;
		this.off = signal === undefined ? ignore : addAbortAlgorithm(signal, aborter(this));
		collected ??= new FinalizationRegistry(fetchAbort);
		FinalizationRegistryPrototypeRegister(collected, this, id);
		if (signal !== undefined && isAborted(signal)) this.abort(abortReason(signal));
	}
	// Everything, as text or bytes: a value, or a promise of one.
	whole(kind) {
		if (this.error !== undefined) throw this.error;
		const value = this.#take(kind);
		if (value !== undefined) return value;
		const { promise, reject, resolve } = PromiseWithResolvers();
		this.#wait({ __proto__: null, kind, reject, resolve });
		return promise;
	}
	stream() {
		const state = createByteState({
			pull: () => this.#pull(),
			cancel: () => {
				this.#end();
				fetchAbort(this.id);
				return PromiseResolve(undefined);
			},
		});
		this.bodyState = state;
		if (this.error !== undefined) byteControllerError(state.controller, this.error);
		return state;
	}
	// The whole body, undefined while it is not there. Throws what went wrong.
	#take(kind) {
		const bytes = fetchWhole(this.id);
		if (bytes === undefined) return undefined;
		if (bytes === false) throw this.#failure();
		this.#end();
		const all = bytes ?? new Uint8Array(0);
		return kind === KIND_TEXT ? decodeUtf8(all) : all;
	}
	#pull() {
		if (this.error !== undefined || this.#give()) return PromiseResolve(undefined);
		const { promise, resolve } = PromiseWithResolvers();
		this.#wait({ __proto__: null, kind: undefined, reject: undefined, resolve });
		return promise;
	}
	// Gives the stream what there is. False when there is nothing yet.
	#give() {
		const { controller } = this.bodyState;
		const value = fetchRead(this.id);
		if (value === undefined) return false;
		if (value === null) {
			this.#end();
			closeByteStream(controller);
		} else if (value === false) {
			byteControllerError(controller, this.#failure());
		} else {
			byteControllerEnqueue(controller, value);
		}
		return true;
	}
	#wait(waiting) {
		this.waiting = waiting;
		bodies.set(this.id, this);
	}
	#failure() {
		const failure = fetchError(this.id);
		const cause =
			failure === undefined
				? causeOf('ECONNRESET', 'the response is over')
				: transferError(this.target, failure);
		this.error = networkError(cause, 'terminated');
		this.#end();
		return this.error;
	}
	// Neither side needs the other any more.
	#end() {
		this.off();
		this.off = ignore;
		this.waiting = undefined;
		bodies.delete(this.id);
		pumps.get(this.id)?.cancel(this.error);
	}
	// More has arrived, or the end, or what went wrong.
	onBody() {
		const { waiting } = this;
		if (waiting === undefined) return;
		bodies.delete(this.id);
		this.waiting = undefined;
		if (waiting.kind === undefined) {
			if (this.#give()) waiting.resolve();
			else this.#wait(waiting);
			return;
		}
		try {
			const value = this.#take(waiting.kind);
			if (value === undefined) this.#wait(waiting);
			else waiting.resolve(value);
		} catch (error) {
			waiting.reject(error);
		}
	}
	abort(reason) {
		if (this.error !== undefined) return;
		this.error = reason;
		const { waiting } = this;
		this.#end();
		fetchAbort(this.id);
		if (this.bodyState !== undefined) byteControllerError(this.bodyState.controller, reason);
		if (waiting === undefined) return;
		if (waiting.reject === undefined) waiting.resolve();
		else waiting.reject(reason);
	}
}
isolate(Incoming);

// ---- beginning ----

// OWNER: onHead(status, reason, block), onFailed(cause). BODY: bytes, a stream's state, or
// undefined; LENGTH of a stream: -1 when it is not known. Returns the transfer's number, or
// throws the cause of why it could not be begun.
export function startTransfer(owner, target, url, method, fields, body, length) {
	const isStream = body !== undefined && !isUint8Array(body);
	const id = fetchStart(
		url,
		target.hostname,
		target.port,
		target.secure,
		target.unix === '' ? undefined : target.unix,
		method,
		fields,
		isStream ? true : body,
		length,
		target.resource,
	);
	if (id === null) throw transferError(target, undefined);
	if (id === undefined) throw causeOf('EAGAIN', 'too many requests are under way');
	heads.set(id, owner);
	if (isStream)
		new Pump(id, body, (reason) => {
			const early = heads.delete(id);
			fetchAbort(id);
			if (early) owner.onFailed(reason);
			else bodies.get(id)?.onBody();
		}).read();
	return id;
}

// Nobody wants transfer ID any more.
export function endTransfer(id, reason) {
	heads.delete(id);
	fetchAbort(id);
	pumps.get(id)?.cancel(reason);
}

// Its response has no body, or one that is not wanted: let it end so that its connection
// can be used again.
export function discardTransfer(id) {
	fetchDiscard(id);
	pumps.get(id)?.cancel(undefined);
}

// ---- what C calls ----

hooks.fetchHead = (id, status, reason, block) => {
	const owner = heads.get(id);
	heads.delete(id);
	owner?.onHead(status, reason, block);
};

hooks.fetchBody = (id) => {
	bodies.get(id)?.onBody();
};

hooks.fetchDrain = (id) => {
	pumps.get(id)?.read();
};

hooks.fetchFailed = (id) => {
	const owner = heads.get(id);
	if (owner === undefined) {
		bodies.get(id)?.onBody();
		return;
	}
	heads.delete(id);
	const failure = fetchError(id);
	const cause = transferError(owner.target, failure);
	pumps.get(id)?.cancel(cause);
	owner.onFailed(cause);
};
