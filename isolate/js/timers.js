// setTimeout, setInterval, setImmediate as Node has them: the order of Node's event
// loop, objects with ref/unref/refresh, one native timer for all.

import { process } from './node/process_object.js';
import { currentContext, enterContext } from './async_context.js';
import { hooks } from './hooks.js';
import { requireFunction } from './validate.js';
import { runTicks } from './ticks.js';

const { apply: ReflectApply } = Reflect;
const { trunc: MathTrunc } = Math;
const SymbolToPrimitive = Symbol.toPrimitive;
const SymbolDispose = Symbol.dispose;
const MapConstructor = Map;
const mapGet = Function.prototype.call.bind(Map.prototype.get);
const mapSet = Function.prototype.call.bind(Map.prototype.set);
const mapDelete = Function.prototype.call.bind(Map.prototype.delete);

const DELAY_MAX = 2 ** 31 - 1;

let lastId = 0;
let lastSequence = 0;
let referenced = 0; // waiting timers that keep the program alive
let armedFor = Infinity; // when the native timer fires
const timersById = new MapConstructor(); // those whose number the program has seen

// ---- a binary heap of waiting timers, by time and then by order of insertion ----

const heap = [];
heap.length = 0;

function before(a, b) {
	return a.due < b.due || (a.due === b.due && a.sequence < b.sequence);
}

function place(state, index) {
	heap[index] = state;
	state.index = index;
}

function siftUp(state, index) {
	while (index > 0) {
		const parent = (index - 1) >> 1;
		if (!before(state, heap[parent])) break;
		place(heap[parent], index);
		index = parent;
	}
	place(state, index);
}

function siftDown(state, index) {
	const count = heap.length;
	for (;;) {
		let child = 2 * index + 1;
		if (child >= count) break;
		if (child + 1 < count && before(heap[child + 1], heap[child])) child++;
		if (!before(heap[child], state)) break;
		place(heap[child], index);
		index = child;
	}
	place(state, index);
}

function insert(state, now) {
	state.due = now + state.delay;
	state.sequence = ++lastSequence;
	siftUp(state, heap.length);
	if (state.referenced && referenced++ === 0) native.timerRef(true);
	arm(now);
}

function remove(state) {
	const { index } = state;
	if (index < 0) return;
	state.index = -1;
	const last = heap[heap.length - 1];
	heap.length--;
	if (last !== state) {
		siftUp(last, index);
		siftDown(last, last.index);
	}
	if (state.referenced && --referenced === 0) native.timerRef(false);
}

function arm(now) {
	if (heap.length === 0 || heap[0].due >= armedFor) return;
	armedFor = heap[0].due;
	native.timerStart(armedFor - now);
}

// ---- timers ----

// As Node warns of what it sets to 1: of each kind once, but always of what is too long.
let warnedNegative = false;
let warnedNotNumber = false;

function warnOfDelay(delay) {
	let why;
	let name;
	if (delay > DELAY_MAX) {
		why = 'does not fit into a 32-bit signed integer';
		name = 'TimeoutOverflowWarning';
	} else if (delay < 0 && !warnedNegative) {
		warnedNegative = true;
		why = 'is a negative number';
		name = 'TimeoutNegativeWarning';
	} else if (delay !== delay && !warnedNotNumber) {
		warnedNotNumber = true;
		why = 'is not a number';
		name = 'TimeoutNaNWarning';
	}
	if (name !== undefined) process.emitWarning(`${delay} ${why}.\nTimeout duration was set to 1.`, name);
}

function toDelay(value) {
	const delay = +value;
	if (delay >= 1 && delay <= DELAY_MAX) return MathTrunc(delay);
	if (delay !== 0) warnOfDelay(delay);
	return 1;
}

// What the program holds is separate from what the heap holds, so that it cannot
// change the latter.
class Timeout {
	#state;

	constructor(state) {
		this.#state = state;
		state.object = this;
	}
	// Of anything else, as in Node, they say nothing.
	ref() {
		if (#state in this) setReferenced(this.#state, true);
		return this;
	}
	unref() {
		if (#state in this) setReferenced(this.#state, false);
		return this;
	}
	hasRef() {
		return this.#state.referenced;
	}
	refresh() {
		const state = this.#state;
		if (state.cleared) return this;
		remove(state);
		insert(state, native.loopNow());
		return this;
	}
	close() {
		clear(this.#state);
		return this;
	}
	[SymbolToPrimitive]() {
		const state = this.#state;
		state.id ??= ++lastId;
		if (state.index >= 0) mapSet(timersById, state.id, state);
		return state.id;
	}
	[SymbolDispose]() {
		clear(this.#state);
	}
	// Some look at it, as Node has it: it will not fire again.
	get _destroyed() {
		const state = this.#state;
		return state.cleared || state.index < 0;
	}
	static stateOf(value) {
		return typeof value === 'object' && value !== null && #state in value
			? value.#state
			: undefined;
	}
}
const { stateOf } = Timeout;
delete Timeout.stateOf;

function setReferenced(state, wanted) {
	if (state.referenced === wanted) return;
	state.referenced = wanted;
	if (state.index < 0) return;
	if (wanted ? referenced++ === 0 : --referenced === 0) native.timerRef(wanted);
}

function clear(state) {
	state.cleared = true;
	if (state.id !== undefined) mapDelete(timersById, state.id);
	remove(state);
}

function start(callback, delay, args, repeats) {
	const state = {
		callback,
		args,
		delay: toDelay(delay),
		repeats,
		due: 0,
		sequence: 0,
		index: -1,
		referenced: true,
		cleared: false,
		id: undefined,
		object: undefined,
		context: currentContext(),
	};
	insert(state, native.loopNow());
	return state;
}

export function setTimeout(callback, delay = 1, ...args) {
	requireFunction(callback, 'callback');
	return new Timeout(start(callback, delay, args, false));
}

export function setInterval(callback, delay = 1, ...args) {
	requireFunction(callback, 'callback');
	return new Timeout(start(callback, delay, args, true));
}

export function clearTimeout(timer) {
	let state = stateOf(timer);
	if (state === undefined && (typeof timer === 'number' || typeof timer === 'string'))
		state = mapGet(timersById, +timer);
	if (state !== undefined) clear(state);
}

export function clearInterval(timer) {
	clearTimeout(timer);
}

// For the library itself: a timer that does not keep the program alive.
export function setTimer(callback, delay) {
	const state = start(callback, delay, [], false);
	setReferenced(state, false);
	return state;
}

export function clearTimer(state) {
	clear(state);
}

function fire(state, now) {
	const { object } = state;
	if (state.repeats) insert(state, now);
	else if (state.id !== undefined) mapDelete(timersById, state.id);
	enterContext(state.context);
	ReflectApply(state.callback, object, state.args);
	enterContext(undefined);
}

// Called when the native timer fires, and again when a callback threw. As in Node,
// ticks and microtasks run between two timers.
function runTimers(now) {
	armedFor = Infinity;
	let first = true;
	while (heap.length > 0 && heap[0].due <= now) {
		if (!first) runTicks();
		first = false;
		const state = heap[0];
		if (state === undefined || state.due > now) break;
		remove(state);
		try {
			fire(state, now);
		} finally {
			arm(now);
		}
		armedFor = Infinity;
	}
	arm(now);
	return 0;
}

// ---- setImmediate ----

let immediates = [];
let immediatesReferenced = 0;

class Immediate {
	#state;

	constructor(state) {
		this.#state = state;
		state.object = this;
	}
	ref() {
		setImmediateReferenced(this.#state, true);
		return this;
	}
	unref() {
		setImmediateReferenced(this.#state, false);
		return this;
	}
	hasRef() {
		return this.#state.referenced;
	}
	[SymbolDispose]() {
		dropImmediate(this.#state);
	}
	static stateOf(value) {
		return typeof value === 'object' && value !== null && #state in value
			? value.#state
			: undefined;
	}
}
const { stateOf: immediateStateOf } = Immediate;
delete Immediate.stateOf;

function updateImmediates() {
	native.immediateStart(immediates.length > 0 || immediatesReferenced > 0, immediatesReferenced > 0);
}

function setImmediateReferenced(state, wanted) {
	if (state.done || state.referenced === wanted) return;
	state.referenced = wanted;
	immediatesReferenced += wanted ? 1 : -1;
	updateImmediates();
}

function dropImmediate(state) {
	if (state.done) return;
	state.done = true;
	if (state.referenced) immediatesReferenced--;
	updateImmediates();
}

export function setImmediate(callback, ...args) {
	requireFunction(callback, 'callback');
	const state = {
		callback,
		args,
		done: false,
		referenced: true,
		object: undefined,
		context: currentContext(),
	};
	immediates[immediates.length] = state;
	immediatesReferenced++;
	updateImmediates();
	return new Immediate(state);
}

export function clearImmediate(immediate) {
	const state = immediateStateOf(immediate);
	if (state !== undefined) dropImmediate(state);
}

// The check phase: those that were there when it began. After an exception the rest
// goes on in the next call.
function runImmediates() {
	const batch = immediates;
	immediates = [];
	let next = 0;
	try {
		while (next < batch.length) {
			const state = batch[next++];
			if (state.done) continue;
			dropImmediate(state);
			enterContext(state.context);
			ReflectApply(state.callback, state.object, state.args);
			enterContext(undefined);
			runTicks();
		}
	} finally {
		if (next < batch.length) {
			const later = immediates;
			immediates = [];
			for (; next < batch.length; next++) immediates[immediates.length] = batch[next];
			for (let i = 0; i < later.length; i++) immediates[immediates.length] = later[i];
		}
		updateImmediates();
	}
	return 0;
}

hooks.runTimers = runTimers;
hooks.runImmediates = runImmediates;
