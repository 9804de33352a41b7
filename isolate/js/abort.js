// AbortController and AbortSignal (DOM, section 3).

import {
	ArrayPrototypePush,
	isolate,
	SafeSet,
	SetIteratorPrototypeNext,
	SymbolIterator,
	TypeError,
	WeakRef,
	WeakRefPrototypeDeref,
} from './primordials.js';
import { DOMException } from './errors.js';
import {
	defineEventHandler,
	dispatch,
	Event,
	EventTarget,
	makeTrusted,
	signals,
	watchListeners,
} from './events.js';
import { setTimer } from './timers.js';
import {
	defineInterface,
	illegalConstructor,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
	toEnforcedUnsignedLongLong,
	toSequence,
} from './webidl.js';

const TIMER_MAX = 2 ** 31 - 1;

// What a signal is inside. A dependent signal (of AbortSignal.any) is held weakly by its
// sources, unless somebody waits for it: then they hold it, or it would be collected
// before it can abort.
class SignalState {
	constructor(signal) {
		this.signal = signal;
		this.aborted = false;
		this.reason = undefined;
		this.algorithms = undefined; // SafeSet
		this.listening = false;
		this.sources = undefined; // states, when dependent
		this.dependents = undefined; // weak references to states
		this.pruneAt = 8;
		this.waiting = undefined; // SafeSet of dependent states that somebody waits for
		this.timer = undefined;
	}
}
isolate(SignalState);

// Timeout signals that somebody waits for; their timers hold them weakly.
const waitingForTimeout = new SafeSet();

function makeReason(reason) {
	return reason === undefined
		? new DOMException('This operation was aborted', 'AbortError')
		: reason;
}

let stateOf;
let isSignal;

export class AbortSignal extends EventTarget {
	#state = new SignalState(this);

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
		super();
	}
	get aborted() {
		return #state in this ? this.#state.aborted : illegalInvocation();
	}
	get reason() {
		return #state in this ? this.#state.reason : illegalInvocation();
	}
	throwIfAborted() {
		if (!(#state in this)) illegalInvocation();
		if (this.#state.aborted) throw this.#state.reason;
	}
	static abort(reason = undefined) {
		const signal = new AbortSignal(internalToken);
		signal.#state.aborted = true;
		signal.#state.reason = makeReason(reason);
		return signal;
	}
	static timeout(milliseconds) {
		requireArguments(arguments.length, 1, 'AbortSignal.timeout');
		const delay = toEnforcedUnsignedLongLong(milliseconds, 'AbortSignal.timeout: milliseconds');
		const signal = new AbortSignal(internalToken);
		const state = signal.#state;
		state.timer = internalToken;
		watch(state);
		startTimeout(new WeakRef(state), delay);
		return signal;
	}
	static any(signals) {
		requireArguments(arguments.length, 1, 'AbortSignal.any');
		return anyOf(toSignals(signals, 'AbortSignal.any'));
	}
	[inspectCustom](depth, options, inspect) {
		if (typeof depth === 'number' && depth < 0) return 'AbortSignal';
		const inner = { __proto__: null, ...options };
		if (typeof options.depth === 'number') inner.depth = options.depth - 1;
		return `AbortSignal ${inspect({ aborted: this.aborted }, inner)}`;
	}
	static {
		stateOf = (signal) => signal.#state;
		isSignal = (value) => isObject(value) && #state in value;
	}
}
defineInterface(AbortSignal, 'AbortSignal');
defineEventHandler(AbortSignal.prototype, 'abort');

function toSignals(value, what) {
	const iterator = isObject(value) ? value[SymbolIterator] : undefined;
	if (typeof iterator !== 'function') throw new TypeError(`${what}: signals is not iterable`);
	return toSequence(
		value,
		iterator,
		(item) => {
			if (!isSignal(item)) throw new TypeError(`${what}: an item is not an AbortSignal`);
			return item;
		},
		what,
	);
}

function startTimeout(reference, delay) {
	const part = delay > TIMER_MAX ? TIMER_MAX : delay;
	setTimer(() => {
		const state = WeakRefPrototypeDeref(reference);
		if (state === undefined) return;
		if (delay > part) startTimeout(reference, delay - part);
		else
			abortState(
				state,
				new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
			);
	}, part);
}

// ---- dependent signals ----

// Makes the signal that aborts when the first of LIST does.
export function anyOf(list) {
	const result = new AbortSignal(internalToken);
	const state = stateOf(result);
	for (let i = 0; i < list.length; i++) {
		const source = stateOf(list[i]);
		if (!source.aborted) continue;
		state.aborted = true;
		state.reason = source.reason;
		return result;
	}
	const sources = new SafeSet();
	for (let i = 0; i < list.length; i++) {
		const source = stateOf(list[i]);
		if (source.sources === undefined) sources.add(source);
		else for (let k = 0; k < source.sources.length; k++) sources.add(source.sources[k]);
	}
	state.sources = toArray(sources);
	const reference = new WeakRef(state);
	for (let i = 0; i < state.sources.length; i++) addDependent(state.sources[i], reference);
	watch(state);
	return result;
}

function toArray(set) {
	const items = [];
	const iterator = set.values();
	for (let step; !(step = SetIteratorPrototypeNext(iterator)).done; )
		ArrayPrototypePush(items, step.value);
	return items;
}

function addDependent(source, reference) {
	source.dependents ??= [];
	// A long-lived source (a server's shutdown signal) forgets dependents that are gone.
	if (source.dependents.length >= source.pruneAt) {
		const alive = [];
		for (let i = 0; i < source.dependents.length; i++)
			if (WeakRefPrototypeDeref(source.dependents[i]) !== undefined)
				ArrayPrototypePush(alive, source.dependents[i]);
		source.dependents = alive;
		source.pruneAt = alive.length * 2 + 8;
	}
	ArrayPrototypePush(source.dependents, reference);
}

function watch(state) {
	watchListeners(state.signal, (type, count) => {
		if (type !== 'abort') return;
		state.listening = count > 0;
		updateWaiting(state);
	});
}

// Somebody waits for STATE, or no longer does: its sources or its timer hold it, or not.
function updateWaiting(state) {
	const waits =
		!state.aborted &&
		(state.listening || (state.algorithms !== undefined && state.algorithms.size > 0));
	if (state.timer !== undefined) {
		if (waits) waitingForTimeout.add(state);
		else waitingForTimeout.delete(state);
	}
	if (state.sources === undefined) return;
	for (let i = 0; i < state.sources.length; i++) {
		const source = state.sources[i];
		if (waits) (source.waiting ??= new SafeSet()).add(state);
		else source.waiting?.delete(state);
		if (source.timer !== undefined) {
			// A timeout signal must live as long as what depends on it.
			if (source.waiting !== undefined && source.waiting.size > 0)
				waitingForTimeout.add(source);
			else updateWaiting(source);
		}
	}
}

// ---- aborting ----

function abortState(state, reason) {
	if (state.aborted) return;
	state.aborted = true;
	state.reason = makeReason(reason);
	const dependents = [];
	const references = state.dependents ?? [];
	for (let i = 0; i < references.length; i++) {
		const dependent = WeakRefPrototypeDeref(references[i]);
		if (dependent === undefined || dependent.aborted) continue;
		dependent.aborted = true;
		dependent.reason = state.reason;
		ArrayPrototypePush(dependents, dependent);
	}
	state.dependents = undefined;
	runAbortSteps(state);
	for (let i = 0; i < dependents.length; i++) runAbortSteps(dependents[i]);
}

function runAbortSteps(state) {
	const { algorithms } = state;
	state.algorithms = undefined;
	updateWaiting(state);
	if (algorithms !== undefined) {
		const list = toArray(algorithms);
		for (let i = 0; i < list.length; i++) list[i](state.reason);
	}
	dispatch(state.signal, makeTrusted(new Event('abort')));
}

// ---- AbortController ----

export class AbortController {
	#signal = new AbortSignal(internalToken);

	get signal() {
		return #signal in this ? this.#signal : illegalInvocation();
	}
	abort(reason = undefined) {
		if (!(#signal in this)) illegalInvocation();
		abortState(stateOf(this.#signal), reason);
	}
	[inspectCustom](depth, options, inspect) {
		if (typeof depth === 'number' && depth < 0) return 'AbortController';
		const inner = { __proto__: null, ...options };
		if (typeof options.depth === 'number') inner.depth = options.depth - 1;
		return `AbortController ${inspect({ signal: this.signal }, inner)}`;
	}
}
defineInterface(AbortController, 'AbortController');

// ---- for the library ----

export { isSignal as isAbortSignal };

export function createAbortSignal() {
	return new AbortSignal(internalToken);
}

// Aborts SIGNAL with REASON (undefined: an AbortError).
export function signalAbort(signal, reason) {
	abortState(stateOf(signal), reason);
}

export function isAborted(signal) {
	return stateOf(signal).aborted;
}

export function abortReason(signal) {
	return stateOf(signal).reason;
}

// Calls ALGORITHM(reason) when SIGNAL aborts, before its listeners. Returns a function
// that takes it off again. Does nothing when it has aborted already.
export function addAbortAlgorithm(signal, algorithm) {
	const state = stateOf(signal);
	if (state.aborted) return () => {};
	(state.algorithms ??= new SafeSet()).add(algorithm);
	updateWaiting(state);
	return () => {
		state.algorithms?.delete(algorithm);
		updateWaiting(state);
	};
}

signals.is = isSignal;
signals.isAborted = isAborted;
signals.onAbort = addAbortAlgorithm;
