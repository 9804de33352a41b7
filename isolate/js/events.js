// Event, EventTarget and their kin (DOM, section 2), without a tree: a target's path is
// the target itself.

import {
	ArrayPrototypePush,
	ArrayPrototypeSlice,
	FunctionPrototypeCall,
	isolate,
	ObjectDefineProperty,
	ObjectFreeze,
	ObjectGetOwnPropertyDescriptor,
	ReflectApply,
	SafeMap,
	SymbolIterator,
	TypeError,
} from './primordials.js';
import { DOMException } from './errors.js';
import { native } from './native.js';
import { reportException } from './uncaught.js';
import {
	defineInterface,
	illegalInvocation,
	inspectCustom,
	isObject,
	requireArguments,
	toDictionary,
	toSequence,
	toUSVString,
} from './webidl.js';

// ---- Event ----

const eventConstants = {
	__proto__: null,
	NONE: 0,
	CAPTURING_PHASE: 1,
	AT_TARGET: 2,
	BUBBLING_PHASE: 3,
};

// The parts of an event that dispatching changes; reached through eventState.
class EventState {
	constructor(type, bubbles, cancelable, composed) {
		this.type = type;
		this.bubbles = bubbles;
		this.cancelable = cancelable;
		this.composed = composed;
		this.timeStamp = native.hrtime();
		this.trusted = false;
		this.dispatching = false;
		this.canceled = false;
		this.stopPropagation = false;
		this.stopImmediate = false;
		this.inPassiveListener = false;
		this.phase = 0;
		this.target = null;
		this.currentTarget = null;
	}
}
isolate(EventState);

let eventState;
let isEvent;
let setTimeOrigin;

function preventDefault(state) {
	if (state.cancelable && !state.inPassiveListener) state.canceled = true;
}

export class Event {
	#state;
	static #timeOrigin = 0;

	constructor(type, eventInitDict = undefined) {
		requireArguments(arguments.length, 1, 'Event constructor');
		const init = toDictionary(eventInitDict, 'Event constructor');
		const bubbles = !!init.bubbles;
		const cancelable = !!init.cancelable;
		const composed = !!init.composed;
		this.#state = new EventState(`${type}`, bubbles, cancelable, composed);
		ObjectDefineProperty(this, 'isTrusted', trustedDescriptor);
	}
	get type() {
		return stateOf(this).type;
	}
	get target() {
		return stateOf(this).target;
	}
	get srcElement() {
		return stateOf(this).target;
	}
	get currentTarget() {
		return stateOf(this).currentTarget;
	}
	composedPath() {
		const { currentTarget } = stateOf(this);
		return currentTarget === null ? [] : [currentTarget];
	}
	get eventPhase() {
		return stateOf(this).phase;
	}
	stopPropagation() {
		stateOf(this).stopPropagation = true;
	}
	get cancelBubble() {
		return stateOf(this).stopPropagation;
	}
	set cancelBubble(value) {
		const state = stateOf(this);
		if (value) state.stopPropagation = true;
	}
	stopImmediatePropagation() {
		const state = stateOf(this);
		state.stopPropagation = true;
		state.stopImmediate = true;
	}
	get bubbles() {
		return stateOf(this).bubbles;
	}
	get cancelable() {
		return stateOf(this).cancelable;
	}
	get returnValue() {
		return !stateOf(this).canceled;
	}
	set returnValue(value) {
		const state = stateOf(this);
		if (!value) preventDefault(state);
	}
	preventDefault() {
		preventDefault(stateOf(this));
	}
	get defaultPrevented() {
		return stateOf(this).canceled;
	}
	get composed() {
		return stateOf(this).composed;
	}
	get timeStamp() {
		return stateOf(this).timeStamp - Event.#timeOrigin;
	}
	initEvent(type, bubbles = false, cancelable = false) {
		const state = stateOf(this);
		requireArguments(arguments.length, 1, 'Event.initEvent');
		type = `${type}`;
		if (state.dispatching) return;
		state.stopPropagation = state.stopImmediate = state.canceled = false;
		state.trusted = false;
		state.target = null;
		state.type = type;
		state.bubbles = !!bubbles;
		state.cancelable = !!cancelable;
	}
	[inspectCustom](depth, options, inspect) {
		const name = this.constructor?.name ?? 'Event';
		if (typeof depth === 'number' && depth < 0) return name;
		const inner = { __proto__: null, ...options };
		if (typeof options.depth === 'number') inner.depth = options.depth - 1;
		const state = stateOf(this);
		return `${name} ${inspect(
			{
				type: state.type,
				defaultPrevented: state.canceled,
				cancelable: state.cancelable,
				timeStamp: this.timeStamp,
			},
			inner,
		)}`;
	}
	static {
		eventState = (event) => event.#state;
		isEvent = (value) => isObject(value) && #state in value;
		setTimeOrigin = (origin) => (Event.#timeOrigin = origin);
	}
}
// The events' clock: milliseconds of native.hrtime at the start of the worker.
export { setTimeOrigin as setEventTimeOrigin };

function stateOf(event) {
	return isEvent(event) ? eventState(event) : illegalInvocation();
}

// [LegacyUnforgeable]: an own accessor of each event, the same for all.
const trustedDescriptor = ObjectFreeze({
	__proto__: null,
	get: ObjectGetOwnPropertyDescriptor(
		{
			get isTrusted() {
				return stateOf(this).trusted;
			},
		},
		'isTrusted',
	).get,
	set: undefined,
	enumerable: true,
	configurable: false,
});

defineInterface(Event, 'Event', eventConstants);

// An event of the library's own.
export function makeTrusted(event) {
	eventState(event).trusted = true;
	return event;
}

// ---- EventTarget ----

class Listener {
	constructor(callback, options) {
		this.callback = callback;
		this.capture = options.capture;
		this.once = options.once;
		this.passive = options.passive;
		this.removed = false;
		this.handler = options.handler;
	}
}
isolate(Listener);

function flattenOptions(options) {
	return typeof options === 'boolean' ? options : isObject(options) ? !!options.capture : false;
}

function flattenMore(options) {
	const result = {
		capture: flattenOptions(options),
		once: false,
		passive: false,
		signal: undefined,
		handler: undefined,
	};
	if (isObject(options)) {
		result.once = !!options.once;
		if (options.passive !== undefined) result.passive = !!options.passive;
		if (options.signal !== undefined) {
			result.signal = options.signal;
			if (!signals.is(result.signal))
				throw new TypeError('addEventListener: options.signal is not an AbortSignal');
		}
	}
	return result;
}

// abort.js fills this in: it comes later in the order of imports.
export const signals = { is: undefined, isAborted: undefined, onAbort: undefined };

function find(list, callback, capture) {
	for (let i = 0; i < list.length; i++)
		if (list[i].callback === callback && list[i].capture === capture) return i;
	return -1;
}

function handleEvent(listener, event, target) {
	const { callback } = listener;
	if (listener.handler !== undefined) {
		runHandler(listener.handler, event, target);
	} else if (typeof callback === 'function') {
		FunctionPrototypeCall(callback, target, event);
	} else {
		const { handleEvent: method } = callback;
		if (typeof method !== 'function') throw new TypeError('handleEvent is not a function');
		FunctionPrototypeCall(method, callback, event);
	}
}

// An event handler attribute such as onabort: returning false cancels, and for `error`
// on the global the arguments are other ones and true cancels.
function runHandler(handler, event, target) {
	const state = eventState(event);
	const { callback } = handler;
	if (typeof callback !== 'function') return;
	if (handler.reportsErrors && state.type === 'error' && handler.errorArguments(event)) {
		const result = ReflectApply(callback, target, handler.errorArguments(event));
		if (result === true) state.canceled = true;
		return;
	}
	if (FunctionPrototypeCall(callback, target, event) === false) preventDefault(state);
}

let isTarget, listenersOf, handlersOf, watchers;

export class EventTarget {
	#listeners; // SafeMap: type -> list, replaced whenever it changes
	#handlers; // SafeMap: type -> handler attribute
	#watcher; // called with (type, count) when the listeners of a type change

	addEventListener(type, callback, options = undefined) {
		const target = targetOf(this);
		requireArguments(arguments.length, 2, 'EventTarget.addEventListener');
		type = `${type}`;
		if (callback !== null && callback !== undefined && !isObject(callback)) {
			const error = new TypeError(
				'The "listener" argument must be an instance of EventListener',
			);
			error.code = 'ERR_INVALID_ARG_TYPE';
			throw error;
		}
		const flat = flattenMore(options);
		if (callback === null || callback === undefined) return;
		const { signal } = flat;
		if (signal !== undefined && signals.isAborted(signal)) return;
		const listener = new Listener(callback, flat);
		if (!addListener(target, type, listener) || signal === undefined) return;
		signals.onAbort(signal, () => removeListener(target, type, listener));
	}
	removeEventListener(type, callback, options = undefined) {
		const target = targetOf(this);
		requireArguments(arguments.length, 2, 'EventTarget.removeEventListener');
		type = `${type}`;
		const capture = flattenOptions(options);
		const list = listenersOf(target)?.get(type);
		if (list === undefined) return;
		const index = find(list, callback, capture);
		if (index >= 0) removeListener(target, type, list[index]);
	}
	dispatchEvent(event) {
		const target = targetOf(this);
		requireArguments(arguments.length, 1, 'EventTarget.dispatchEvent');
		if (!isEvent(event)) {
			const error = new TypeError('The "event" argument must be an instance of Event');
			error.code = 'ERR_INVALID_ARG_TYPE';
			throw error;
		}
		const state = eventState(event);
		if (state.dispatching)
			throw new DOMException('The event is already being dispatched', 'InvalidStateError');
		state.trusted = false;
		return dispatch(target, event);
	}
	[inspectCustom](depth, options, inspect) {
		const name = this.constructor?.name ?? 'EventTarget';
		if (typeof depth === 'number' && depth < 0) return name;
		const inner = { __proto__: null, ...options };
		if (typeof options.depth === 'number') inner.depth = options.depth - 1;
		return `${name} ${inspect({}, inner)}`;
	}
	static {
		isTarget = (value) => isObject(value) && #listeners in value;
		listenersOf = (target) => target.#listeners;
		handlersOf = (target) => (target.#handlers ??= new SafeMap());
		watchers = {
			set: (target, watcher) => (target.#watcher = watcher),
			get: (target) => target.#watcher,
			start: (target) => (target.#listeners = new SafeMap()),
		};
	}
}
defineInterface(EventTarget, 'EventTarget');

// `this` of a method called as a plain function is the global.
let globalTarget;
export function setGlobalTarget(target) {
	globalTarget = target;
}
export { globalTarget };

function targetOf(value) {
	if (isTarget(value)) return value;
	if ((value === undefined || value === globalThis) && globalTarget !== undefined)
		return globalTarget;
	return illegalInvocation();
}

function addListener(target, type, listener) {
	const map = listenersOf(target) ?? watchers.start(target);
	const list = map.get(type);
	if (list === undefined) {
		map.set(type, [listener]);
	} else {
		if (find(list, listener.callback, listener.capture) >= 0) return false;
		const copy = ArrayPrototypeSlice(list);
		ArrayPrototypePush(copy, listener);
		map.set(type, copy);
	}
	watchers.get(target)?.(type, map.get(type).length);
	return true;
}

function removeListener(target, type, listener) {
	if (listener.removed) return;
	listener.removed = true;
	const map = listenersOf(target);
	const list = map.get(type);
	const copy = [];
	for (let i = 0; i < list.length; i++)
		if (list[i] !== listener) ArrayPrototypePush(copy, list[i]);
	if (copy.length === 0) map.delete(type);
	else map.set(type, copy);
	watchers.get(target)?.(type, copy.length);
}

function invoke(target, event, state, list, capture) {
	for (let i = 0; i < list.length; i++) {
		const listener = list[i];
		if (listener.removed || listener.capture !== capture) continue;
		if (listener.once) removeListener(target, state.type, listener);
		if (listener.passive) state.inPassiveListener = true;
		try {
			handleEvent(listener, event, state.currentTarget);
		} catch (error) {
			reportException(error);
		}
		state.inPassiveListener = false;
		if (state.stopImmediate) return;
	}
}

// Dispatches EVENT at TARGET; false when it was canceled.
export function dispatch(target, event) {
	const state = eventState(event);
	state.dispatching = true;
	state.target = target === globalTarget ? globalThis : target;
	const list = state.stopPropagation ? undefined : listenersOf(target)?.get(state.type);
	if (list !== undefined) {
		state.currentTarget = state.target;
		state.phase = 2;
		invoke(target, event, state, list, true);
		// A listener that the first pass removed is marked; one that it added waits.
		if (!state.stopPropagation) invoke(target, event, state, list, false);
	}
	state.phase = 0;
	state.currentTarget = null;
	state.dispatching = false;
	state.stopPropagation = false;
	state.stopImmediate = false;
	return !state.canceled;
}

export { isTarget as isEventTarget };

// The callbacks of TARGET for events of TYPE.
export function listenersOfType(target, type) {
	const list = listenersOf(target)?.get(type) ?? [];
	const callbacks = [];
	for (let i = 0; i < list.length; i++)
		ArrayPrototypePush(callbacks, list[i].handler?.callback ?? list[i].callback);
	return callbacks;
}

export function hasListeners(target, type) {
	return listenersOf(target)?.get(type) !== undefined;
}

// Calls WATCHER(type, count) whenever the number of listeners of a type changes.
export function watchListeners(target, watcher) {
	watchers.set(target, watcher);
}

// Defines the event handler attribute on<TYPE> on OBJECT (a prototype, or the global).
export function defineEventHandler(object, type, reportsErrors = false, errorArguments = undefined) {
	const name = `on${type}`;
	const accessors = {
		get [name]() {
			return handlersOf(targetOf(this)).get(type)?.callback ?? null;
		},
		set [name](value) {
			const target = targetOf(this);
			const handlers = handlersOf(target);
			const callback = isObject(value) ? value : null;
			let handler = handlers.get(type);
			if (callback === null) {
				if (handler === undefined) return;
				handlers.delete(type);
				removeListener(target, type, handler.listener);
				return;
			}
			if (handler !== undefined) {
				handler.callback = callback;
				return;
			}
			handler = { callback, reportsErrors, errorArguments, listener: undefined };
			handler.listener = new Listener(handler, {
				capture: false,
				once: false,
				passive: false,
				handler,
			});
			handlers.set(type, handler);
			addListener(target, type, handler.listener);
		},
	};
	const descriptor = ObjectGetOwnPropertyDescriptor(accessors, name);
	ObjectDefineProperty(object, name, {
		__proto__: null,
		get: descriptor.get,
		set: descriptor.set,
		enumerable: true,
		configurable: true,
	});
}

// ---- events with data ----

// Each reads its dictionary after Event's members, in alphabetical order, as WebIDL asks.

export class CustomEvent extends Event {
	#detail;

	constructor(type, eventInitDict = undefined) {
		requireArguments(arguments.length, 1, 'CustomEvent constructor');
		super(type, eventInitDict);
		const { detail } = toDictionary(eventInitDict, 'CustomEvent constructor');
		this.#detail = detail === undefined ? null : detail;
	}
	get detail() {
		return #detail in this ? this.#detail : illegalInvocation();
	}
	initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
		if (!(#detail in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'CustomEvent.initCustomEvent');
		const { dispatching } = eventState(this);
		FunctionPrototypeCall(initEvent, this, type, bubbles, cancelable);
		if (!dispatching) this.#detail = detail;
	}
}
const { initEvent } = Event.prototype;
defineInterface(CustomEvent, 'CustomEvent');

export class ErrorEvent extends Event {
	#fields;

	constructor(type, eventInitDict = undefined) {
		requireArguments(arguments.length, 1, 'ErrorEvent constructor');
		super(type, eventInitDict);
		const init = toDictionary(eventInitDict, 'ErrorEvent constructor');
		const { colno, error, filename, lineno, message } = init;
		this.#fields = {
			colno: colno === undefined ? 0 : +colno >>> 0,
			error,
			filename: filename === undefined ? '' : toUSVString(filename),
			lineno: lineno === undefined ? 0 : +lineno >>> 0,
			message: message === undefined ? '' : `${message}`,
		};
	}
	get message() {
		return #fields in this ? this.#fields.message : illegalInvocation();
	}
	get filename() {
		return #fields in this ? this.#fields.filename : illegalInvocation();
	}
	get lineno() {
		return #fields in this ? this.#fields.lineno : illegalInvocation();
	}
	get colno() {
		return #fields in this ? this.#fields.colno : illegalInvocation();
	}
	get error() {
		return #fields in this ? this.#fields.error : illegalInvocation();
	}
}
defineInterface(ErrorEvent, 'ErrorEvent');

export class PromiseRejectionEvent extends Event {
	#promise;
	#reason;

	constructor(type, eventInitDict) {
		requireArguments(arguments.length, 2, 'PromiseRejectionEvent constructor');
		super(type, eventInitDict);
		const init = toDictionary(eventInitDict, 'PromiseRejectionEvent constructor');
		const { promise } = init;
		if (!isObject(promise))
			throw new TypeError('PromiseRejectionEvent constructor: member promise is required');
		this.#promise = promise;
		this.#reason = init.reason;
	}
	get promise() {
		return #promise in this ? this.#promise : illegalInvocation();
	}
	get reason() {
		return #promise in this ? this.#reason : illegalInvocation();
	}
}
defineInterface(PromiseRejectionEvent, 'PromiseRejectionEvent');

// messaging/port.js fills this in: it comes later in the order of imports.
let isMessagePort = () => false;
export function setMessagePorts(is) {
	isMessagePort = is;
}

function toPorts(value) {
	const iterator = isObject(value) ? value[SymbolIterator] : undefined;
	if (typeof iterator !== 'function')
		throw new TypeError('MessageEvent constructor: ports is not iterable');
	return toSequence(
		value,
		iterator,
		(port) => {
			if (isMessagePort(port)) return port;
			throw new TypeError('MessageEvent constructor: a port is not a MessagePort');
		},
		'MessageEvent constructor: ports',
	);
}

export class MessageEvent extends Event {
	#fields;

	constructor(type, eventInitDict = undefined) {
		requireArguments(arguments.length, 1, 'MessageEvent constructor');
		super(type, eventInitDict);
		const init = toDictionary(eventInitDict, 'MessageEvent constructor');
		const { data, lastEventId, origin, ports, source } = init;
		const list = ports === undefined ? [] : toPorts(ports);
		if (source !== undefined && source !== null && !isTarget(source))
			throw new TypeError('MessageEvent constructor: source is not a MessageEventSource');
		this.#fields = {
			data: data === undefined ? null : data,
			lastEventId: lastEventId === undefined ? '' : `${lastEventId}`,
			origin: origin === undefined ? '' : toUSVString(origin),
			ports: ObjectFreeze(list),
			source: source ?? null,
		};
	}
	get data() {
		return #fields in this ? this.#fields.data : illegalInvocation();
	}
	get origin() {
		return #fields in this ? this.#fields.origin : illegalInvocation();
	}
	get lastEventId() {
		return #fields in this ? this.#fields.lastEventId : illegalInvocation();
	}
	get source() {
		return #fields in this ? this.#fields.source : illegalInvocation();
	}
	get ports() {
		return #fields in this ? this.#fields.ports : illegalInvocation();
	}
}
defineInterface(MessageEvent, 'MessageEvent');
