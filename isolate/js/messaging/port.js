// MessageChannel and MessagePort (HTML, 9.4), with what Node adds: ref, unref, on.

import {
	isolate,
	ObjectAssign,
	ObjectDefineProperty,
	SafeMap,
	TypeError,
} from '../primordials.js';
import {
	defineEventHandler,
	dispatch,
	Event,
	EventTarget,
	makeTrusted,
	MessageEvent,
	setMessagePorts,
	watchListeners,
} from '../events.js';
import { DOMException } from '../errors.js';
import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { reportException } from '../uncaught.js';
import { defineInterface, illegalInvocation, inspectCustom, internalToken } from '../webidl.js';
import { NodeEventTarget, setListenerArgument } from './node_event_target.js';
import {
	cloneError,
	receiveTransferred,
	registerTransferable,
	serialize,
	toTransferList,
} from './serialize.js';

let lastNumber = 0;
const numbered = new SafeMap(); // number -> state of ports that C tells of

// What a port is, whatever a program does with its object.
class PortState {
	constructor(handle, object) {
		this.handle = handle; // NativePort; undefined when closed or transferred
		this.object = object;
		this.number = ++lastNumber;
		this.started = false;
		this.held = false;
		this.delivering = false; // a message, right now
		this.closing = false; // when what waits has been delivered
		this.sink = undefined; // of a port of the library's own, without an object
	}
}
isolate(PortState);

function start(state) {
	if (state.handle === undefined) return;
	state.started = true;
	numbered.set(state.number, state);
	state.handle.start(state.number);
}

function hold(state, wanted) {
	if (state.handle === undefined) return;
	state.held = wanted;
	state.handle.hold(wanted);
}

// Closing tells both ends, in a task of its own.
function emitClose(state) {
	setImmediateOnce(() => dispatch(state.object, makeTrusted(new MessagePortCloseEvent())));
}

function detach(state) {
	const { handle } = state;
	state.handle = undefined;
	state.started = state.held = false;
	numbered.delete(state.number);
	return handle;
}

function close(state) {
	if (state.handle === undefined) return;
	// As in Node, closing in a message's listener does not drop what came with it.
	state.closing = state.delivering;
	if (state.closing) return;
	detach(state).close();
	emitClose(state);
}

const immediate = { set: undefined };
export function setPortTasks(setImmediate) {
	immediate.set = setImmediate;
}
function setImmediateOnce(callback) {
	immediate.set(() => {
		try {
			callback();
		} catch (error) {
			reportException(error);
		}
	});
}

let stateOf, isPort, makePort;

export class MessagePort extends NodeEventTarget {
	#state;

	constructor(token, handle) {
		if (token !== internalToken) {
			const error = new TypeError('Constructor cannot be called');
			error.code = 'ERR_CONSTRUCT_CALL_INVALID';
			throw error;
		}
		super();
		const state = new PortState(handle, this);
		this.#state = state;
		watchListeners(this, (type, count) => {
			if (type === 'message') {
				if (count === 1 && !state.started) {
					hold(state, true);
					start(state);
				} else if (count === 0 && state.started) {
					state.started = false;
					state.handle?.stop();
					hold(state, false);
				}
			} else if (type === 'close' && count === 1 && state.handle !== undefined) {
				numbered.set(state.number, state);
				state.handle.name(state.number);
			}
		});
	}
	postMessage(message, options = undefined) {
		const state = stateOf(this);
		if (arguments.length === 0) {
			const error = new TypeError('Not enough arguments to MessagePort.postMessage');
			error.code = 'ERR_MISSING_ARGS';
			throw error;
		}
		return post(state, message, toTransferList(options), this);
	}
	start() {
		start(stateOf(this));
	}
	close(callback = undefined) {
		const state = stateOf(this);
		if (typeof callback === 'function') this.once('close', callback);
		close(state);
	}
	ref() {
		hold(stateOf(this), true);
	}
	unref() {
		hold(stateOf(this), false);
	}
	hasRef() {
		const state = stateOf(this);
		return state.handle !== undefined && state.held;
	}
	[inspectCustom]() {
		if (!isPort(this)) return this;
		const state = stateOf(this);
		return ObjectAssign(
			{ __proto__: MessagePort.prototype },
			state.handle === undefined ? { active: false } : { active: true, refed: state.held },
		);
	}
	static {
		isPort = (value) => typeof value === 'object' && value !== null && #state in value;
		stateOf = (value) => (isPort(value) ? value.#state : illegalInvocation());
		makePort = (handle) => new MessagePort(internalToken, handle);
	}
}
defineEventHandler(MessagePort.prototype, 'message');
defineEventHandler(MessagePort.prototype, 'messageerror');
defineEventHandler(MessagePort.prototype, 'close');
defineInterface(MessagePort, 'MessagePort');
ObjectDefineProperty(MessagePort, 'length', { __proto__: null, value: 0 });
export { isPort as isMessagePort, makePort };

class MessagePortCloseEvent extends Event {
	constructor() {
		super('close');
	}
}

function closePorts(ports) {
	for (let i = 0; i < ports.length; i++) ports[i].close();
}

// What postMessage does; also of a broadcast.
function post(state, message, list, source) {
	const { message: written, types, ports } = serialize(message, list, source);
	if (state.handle === undefined || state.closing) {
		closePorts(ports);
		return undefined;
	}
	const result = state.handle.post(written, types, ports);
	if (result === 0) return true;
	closePorts(ports); // They were taken from their objects: nobody else can.
	throw cloneError(
		result === TOO_MUCH
			? 'Messages that wait to be read take more than half of limits.memory'
			: 'The message could not be sent: out of memory',
	);
}
const TOO_MUCH = -105; // ENOBUFS
export { post as postToHandle };

// ---- receiving ----

function portsAmong(objects) {
	const ports = [];
	for (let i = 0; i < objects.length; i++) if (isPort(objects[i])) ports[ports.length] = objects[i];
	return ports;
}

// What `take` gave, read: { data, ports } or { error }.
export function readTaken(taken) {
	try {
		const handles = [];
		for (let i = 2; i < taken.length; i++) handles[i - 2] = taken[i];
		const objects = receiveTransferred(taken[0], handles);
		return { __proto__: null, data: taken[1].read(objects), ports: portsAmong(objects) };
	} catch (error) {
		return { __proto__: null, error, ports: [] };
	}
}

function deliver(target, read) {
	const failed = 'error' in read;
	const init = { __proto__: null, data: failed ? read.error : read.data, ports: read.ports };
	dispatch(target, makeTrusted(new MessageEvent(failed ? 'messageerror' : 'message', init)));
}

// Called for each message, until it returns false.
hooks.onPort = (number) => {
	const state = numbered.get(number);
	if (state === undefined || state.handle === undefined) return false;
	if (!state.started) {
		if (state.handle.ended()) close(state);
		return false;
	}
	const taken = state.handle.take();
	if (taken === undefined) {
		if (state.closing) close(state);
		return false;
	}
	if (taken === null) {
		if (state.sink === undefined) close(state);
		else endSink(state);
		return false;
	}
	const read = readTaken(taken);
	if (state.sink === undefined) {
		state.delivering = true;
		try {
			deliver(state.object, read);
		} finally {
			state.delivering = false;
		}
	} else if ('error' in read) {
		state.sink.error();
	} else {
		state.sink.message(read.data);
	}
	return true;
};

setListenerArgument((event) => (isMessageEvent(event) ? event.data : 'data' in event ? event.data : event));
function isMessageEvent(event) {
	return event instanceof MessageEvent;
}

export function receiveMessageOnPort(port) {
	const state = isPort(port) ? stateOf(port) : broadcastState(port);
	if (state === undefined) {
		const error = new TypeError('The "port" argument must be a MessagePort instance');
		error.code = 'ERR_INVALID_ARG_TYPE';
		throw error;
	}
	const taken = state.handle?.take();
	if (taken === undefined || taken === null) return undefined;
	const read = readTaken(taken);
	if ('error' in read) throw read.error;
	return { message: read.data };
}
const broadcasts = { stateOf: () => undefined };
function broadcastState(value) {
	return broadcasts.stateOf(value);
}

// Everything that waits, now.
export function drainMessagePort(port) {
	const state = port === null || port === undefined ? undefined : stateOf(port);
	while (state?.handle !== undefined) {
		const taken = state.handle.take();
		if (taken === undefined || taken === null) return;
		deliver(state.object, readTaken(taken));
	}
}

// The NativePort of PORT, which is closed here; for a thread.
export function takeHandle(port) {
	return detach(stateOf(port));
}

// ---- ports that no program sees ----

// SINK: message(data), error(), closed().
export function openInternalPort(handle, wanted, sink) {
	const state = new PortState(handle, undefined);
	state.sink = sink;
	hold(state, wanted);
	start(state);
	return state;
}

export function postInternally(state, value) {
	post(state, value, [], undefined);
}

export function closeInternalPort(state) {
	if (state.handle !== undefined) detach(state).close();
}

function endSink(state) {
	detach(state).close();
	state.sink.closed();
}

// ---- transfer ----

registerTransferable(
	'M',
	1,
	isPort,
	(port) => {
		if (stateOf(port).handle === undefined)
			throw cloneError('MessagePort in transfer list is already detached');
	},
	(port) => {
		const state = stateOf(port);
		state.handle.stop();
		state.handle.hold(false);
		const handle = detach(state);
		emitClose(state);
		return [handle];
	},
	(handle) => makePort(handle),
);

setMessagePorts(isPort);

// ---- MessageChannel ----

export class MessageChannel {
	#ports;

	constructor() {
		const pair = native.portPair();
		this.#ports = [makePort(pair[0]), makePort(pair[1])];
	}
	get port1() {
		return #ports in this ? this.#ports[0] : illegalInvocation();
	}
	get port2() {
		return #ports in this ? this.#ports[1] : illegalInvocation();
	}
}
defineInterface(MessageChannel, 'MessageChannel');

// ---- BroadcastChannel ----

function invalidThis() {
	const error = new TypeError('Value of "this" must be of type BroadcastChannel');
	error.code = 'ERR_INVALID_THIS';
	throw error;
}

function closedError() {
	return new DOMException('BroadcastChannel is closed.', 'InvalidStateError');
}

function missing(name) {
	const error = new TypeError(`The "${name}" argument must be specified`);
	error.code = 'ERR_MISSING_ARGS';
	return error;
}

export class BroadcastChannel extends EventTarget {
	#state;
	#name;

	constructor(name) {
		if (arguments.length === 0) throw missing('name');
		super();
		this.#name = `${name}`;
		this.#state = new PortState(native.portBroadcast(this.#name), this);
		hold(this.#state, true);
		start(this.#state);
	}
	get name() {
		return #state in this ? this.#name : invalidThis();
	}
	postMessage(message) {
		if (!(#state in this)) invalidThis();
		if (arguments.length === 0) throw missing('message');
		if (this.#state.handle === undefined) throw closedError();
		post(this.#state, message, [], undefined);
	}
	close() {
		if (!(#state in this)) invalidThis();
		if (this.#state.handle !== undefined) detach(this.#state).close();
	}
	ref() {
		if (!(#state in this)) invalidThis();
		hold(this.#state, true);
		return this;
	}
	unref() {
		if (!(#state in this)) invalidThis();
		hold(this.#state, false);
		return this;
	}
	[inspectCustom](depth, options, inspect) {
		if (!(#state in this)) invalidThis();
		if (depth < 0) return 'BroadcastChannel';
		const inner = { ...options, depth: options.depth == null ? null : options.depth - 1 };
		return `BroadcastChannel ${inspect(
			{ name: this.#name, active: this.#state.handle !== undefined },
			inner,
		)}`;
	}
	static {
		broadcasts.stateOf = (value) =>
			typeof value === 'object' && value !== null && #state in value ? value.#state : undefined;
	}
}
defineEventHandler(BroadcastChannel.prototype, 'message');
defineEventHandler(BroadcastChannel.prototype, 'messageerror');
defineInterface(BroadcastChannel, 'BroadcastChannel');
