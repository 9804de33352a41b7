// What a program has beside fetch, and C calls (isolate/service.c): `start`, `health`,
// `scheduled` and `shutdown` of its default export, the global's `shutdown` event, SIGTERM;
// and the module 'tenantd:lifecycle', for programs that have no ctx.

import {
	isolate,
	PromisePrototypeThen,
	PromiseResolve,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	TypeError,
} from './primordials.js';
import { dispatch, Event, globalTarget, hasListeners, makeTrusted } from './events.js';
import { isResponse, Request, stateOfResponse } from './fetch.js';
import { hooks } from './hooks.js';
import { native } from './native.js';
import { drainServers, hasServer, probeServer } from './node/http/serving.js';
import { registerBuiltin } from './node/registry.js';
import { endProcess, process } from './process.js';
import { dropBody, notAResponse, setProgram } from './server.js';
import { drainWebSockets } from './websocket.js';
import { defineInterface, illegalInvocation, isObject, requireArguments } from './webidl.js';

let program; // the default export; undefined without one
let environment;

// ---- one call of the program's ----

function firstLine(text) {
	const end = StringPrototypeIndexOf(text, '\n');
	return end < 0 ? text : StringPrototypeSlice(text, 0, end);
}

// For the supervisor: what it is, in a line. The log has the rest.
function summary(error) {
	try {
		return firstLine(`${error}`);
	} catch {
		return 'an error that cannot be described';
	}
}

function log(what, error) {
	native.writeStdio(2, `${what}\n${native.httpDescribe(error)}\n`);
}

// What the program does in one call, and in the promises that it gives to waitUntil. END is
// called once, when all of it is over: (whether it failed, with what, what the call gave).
class Task {
	constructor(name, end) {
		this.name = name;
		this.end = end;
		this.pending = 1;
		this.failed = false;
		this.error = undefined;
		this.value = undefined;
	}
	run(callback) {
		let result;
		try {
			result = callback(this);
		} catch (error) {
			this.#settle(true, error);
			return;
		}
		PromisePrototypeThen(
			PromiseResolve(result),
			(value) => {
				this.value = value;
				this.#settle(false);
			},
			(error) => this.#settle(true, error),
		);
	}
	add(promise) {
		this.pending++;
		native.httpHold(-1, 0, 1);
		PromisePrototypeThen(
			PromiseResolve(promise),
			() => {
				native.httpHold(-1, 0, -1);
				this.#settle(false);
			},
			(error) => {
				native.httpHold(-1, 0, -1);
				log(`a promise given to waitUntil in ${this.name} was rejected`, error);
				this.#settle(true, error);
			},
		);
	}
	#settle(failed, error) {
		if (failed && !this.failed) {
			this.failed = true;
			this.error = error;
		}
		if (--this.pending === 0) this.end(this);
	}
}
isolate(Task);

// The ctx of everything but a request.
class LifecycleContext {
	#task;

	constructor(task) {
		this.#task = task;
	}
	get listener() {
		return #task in this ? undefined : illegalInvocation();
	}
	ready() {
		if (!(#task in this)) illegalInvocation();
		native.lifecycleReady();
	}
	waitUntil(promise) {
		if (!(#task in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'LifecycleContext.waitUntil');
		this.#task.add(promise);
	}
}
defineInterface(LifecycleContext, 'LifecycleContext');

function has(name) {
	return isObject(program) && typeof program[name] === 'function';
}

function missing(name) {
	return new TypeError(`the default export has no ${name} function`);
}

// Calls the default export's METHOD as one; MORE: the arguments before env and ctx.
function callProgram(task, method, ...more) {
	if (!has(method)) throw missing(method);
	return program[method](...more, environment, new LifecycleContext(task));
}

// ---- starting ----

function ignore() {}

function noFetch() {
	return new TypeError(
		'the default export has no fetch function: export default { fetch(request, env, ctx) { … } }',
	);
}

// A program that serves in another way may still be handed a connection.
const withoutFetch = {
	fetch() {
		throw noFetch();
	},
};

// A promise, also of what throws at once.
async function start(task) {
	await callProgram(task, 'start');
}

// The default export, or what takes its place in CommonJS that a compiler of modules made,
// alone or in a bundle.
function programOf(given) {
	return isObject(given) && given.__esModule === true ? given.default : given;
}

// GIVEN: the default export; ENV: the tenant's environment; NEEDED: whether some listener is
// there for HTTP, or nothing else to do, because the program did not take it over with
// node:net. Returns a promise when the program has a start function, and is called again, with
// STARTED, when that has settled.
hooks.startServer = (given, env, needed, started) => {
	program = programOf(given);
	environment = env ?? {};
	const fetches = has('fetch');
	setProgram(fetches ? program : withoutFetch, environment);
	if (!started && has('start')) {
		const promise = start(new Task('start', ignore));
		PromisePrototypeThen(promise, undefined, ignore); // C looks at it
		return promise;
	}
	const scheduleOnly = has('scheduled') && native.netListeners().length === 0;
	if (!fetches && needed && !scheduleOnly) throw noFetch();
	return undefined;
};

// Of a program that may be a script (`tenantd run`): does its default export GIVEN serve?
hooks.serves = (given) => {
	program = programOf(given);
	return has('fetch') || has('scheduled');
};

// ---- probes and schedules ----

const PROBED = 0;
const SCHEDULED = 1;

function tell(which, id, failed, error) {
	native.lifecycleOutcome(which, id, !failed, failed ? summary(error) : '');
}

async function probeHealth(task) {
	if ((await callProgram(task, 'health')) === false) throw 'health() returned false';
}

const probeInit = { __proto__: null, headers: [['user-agent', 'tenantd-probe/1']] };

// A program that has a server of node:http instead is asked through that.
async function probeHttp(task, path) {
	if (!has('fetch') && hasServer()) {
		const status = await probeServer(path);
		if (status < 200 || status > 399) throw `${path} gave status ${status}`;
		return;
	}
	const request = new Request(`http://localhost${path}`, probeInit);
	const response = await callProgram(task, 'fetch', request);
	if (!isResponse(response)) throw notAResponse(response);
	const state = stateOfResponse(response);
	dropBody(state);
	if (state.status < 200 || state.status > 399) throw `${path} gave status ${state.status}`;
}

// The same handler as real requests, but no place in limits.request.concurrent: a program that
// is busy is not ill. What it gave to waitUntil goes on after the answer.
hooks.probe = (id, http, path) => {
	const task = new Task('a probe', ignore);
	PromisePrototypeThen(
		http ? probeHttp(task, path) : probeHealth(task),
		() => tell(PROBED, id, false),
		(error) => tell(PROBED, id, true, error),
	);
};

hooks.scheduled = (id, cron, scheduledTime, missed) => {
	const task = new Task('scheduled', ({ failed, error }) => {
		if (failed) log(`scheduled (${cron}) failed`, error);
		tell(SCHEDULED, id, failed, error);
	});
	task.run(() => callProgram(task, 'scheduled', { type: 'scheduled', cron, scheduledTime, missed }));
};

// ---- the end ----

class ShutdownEvent extends Event {
	#task;

	constructor(task) {
		super('shutdown');
		this.#task = task;
	}
	waitUntil(promise) {
		if (!(#task in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'ShutdownEvent.waitUntil');
		this.#task.add(promise);
	}
}
defineInterface(ShutdownEvent, 'ShutdownEvent');

const HEARD = 1;
const SHUTDOWN = 2;

// The drain begins. Which of the two the program listens to.
hooks.drain = () => {
	const heard = process.emit('SIGTERM', 'SIGTERM', 15) ? HEARD : 0;
	drainServers();
	drainWebSockets();
	return has('shutdown') || hasListeners(globalTarget, 'shutdown') ? heard | SHUTDOWN : heard;
};

// A signal that the supervisor got. Does anybody listen to it?
hooks.signal = (name, number) => process.emit(name, name, number);

// All requests are answered, all promises settled.
hooks.shutdown = () => {
	const task = new Task('shutdown', ({ failed, error }) => {
		if (failed) log('shutdown failed', error);
		native.lifecycleDrained(endProcess());
	});
	task.run(() => {
		if (hasListeners(globalTarget, 'shutdown'))
			dispatch(globalTarget, makeTrusted(new ShutdownEvent(task)));
		return has('shutdown') ? callProgram(task, 'shutdown') : undefined;
	});
};

// ---- 'tenantd:lifecycle' ----

const exports = {
	ready() {
		native.lifecycleReady();
	},
	waitUntil(promise) {
		requireArguments(arguments.length, 1, 'waitUntil');
		new Task('tenantd:lifecycle', ignore).add(promise);
	},
};
registerBuiltin('tenantd:lifecycle', () => exports);
