// process.nextTick, and what happens between two callbacks: ticks, then microtasks,
// until both are empty, then the rejections that nobody handled. Node's order.

import { currentContext, enterContext, tickFlags } from './async_context.js';
import { hooks } from './hooks.js';
import { reportException, warnHandledLate } from './uncaught.js';

const { apply: ReflectApply } = Reflect;
const mapHas = Function.prototype.call.bind(Map.prototype.has);
const mapSet = Function.prototype.call.bind(Map.prototype.set);
const mapDelete = Function.prototype.call.bind(Map.prototype.delete);
const weakMapGet = Function.prototype.call.bind(WeakMap.prototype.get);
const weakMapSet = Function.prototype.call.bind(WeakMap.prototype.set);

let queue = [];
let head = 0;

export function enqueueTick(callback, args) {
	queue[queue.length] = callback;
	queue[queue.length] = args;
	queue[queue.length] = currentContext();
	tickFlags[0] = 1;
}

function runCallbacks() {
	while (head < queue.length) {
		const callback = queue[head];
		const args = queue[head + 1];
		const context = queue[head + 2];
		queue[head] = queue[head + 1] = queue[head + 2] = undefined;
		head += 3;
		if (head === queue.length) {
			queue.length = 0;
			head = 0;
		}
		enterContext(context);
		ReflectApply(callback, undefined, args);
	}
	enterContext(undefined);
	tickFlags[0] = 0;
}

// Runs until nothing is left. What a callback throws reaches the caller; the rest
// stays in the queue, and the flag up.
export function runTicks() {
	do {
		do {
			runCallbacks();
			native.runMicrotasks();
		} while (head < queue.length);
	} while (processRejections() || head < queue.length);
}

// ---- rejections ----

let unhandled = new Map(); // promise -> reason, in order
const reported = new WeakMap(); // promises that were reported as unhandled
let handledLate = [];

// Called by V8 when a promise is rejected without a handler, or gets one later. Only
// keeps books: the program's listeners run at the end of the tick.
function rejection(promise, reason, handled) {
	if (!handled) {
		mapSet(unhandled, promise, reason);
	} else if (mapHas(unhandled, promise)) {
		mapDelete(unhandled, promise);
		return;
	} else if (weakMapGet(reported, promise)) {
		handledLate[handledLate.length] = promise;
	} else {
		return;
	}
	tickFlags[1] = 1;
}

const mapEntriesNext = Function.prototype.call.bind(new Map().entries().next);
const mapEntries = Function.prototype.call.bind(Map.prototype.entries);

// Returns whether there were any.
function processRejections() {
	if (tickFlags[1] === 0) return false;
	tickFlags[1] = 0;
	const late = handledLate;
	const waiting = unhandled;
	handledLate = [];
	unhandled = new Map();
	for (let i = 0; i < late.length; i++) warnHandledLate(late[i]);
	const entries = mapEntries(waiting);
	for (let entry; !(entry = mapEntriesNext(entries)).done; ) {
		const promise = entry.value[0];
		weakMapSet(reported, promise, true);
		reportException(entry.value[1], promise);
	}
	return true;
}

hooks.tickFlags = tickFlags;
hooks.processTicks = runTicks;
hooks.rejection = rejection;
