// The `process` object: the part that scripts need.

import { hooks } from './hooks.js';
import { enqueueTick } from './ticks.js';
import { onUncaught } from './uncaught.js';
import { invalidArgumentType, nodeError, requireFunction, requireString } from './validate.js';

const { apply: ReflectApply, ownKeys: ReflectOwnKeys } = Reflect;
const { create: ObjectCreate, defineProperty: ObjectDefineProperty, freeze: ObjectFreeze } = Object;
const { isInteger: NumberIsInteger } = Number;
const StringConstructor = String;
const stringIndexOf = Function.prototype.call.bind(String.prototype.indexOf);
const stringSlice = Function.prototype.call.bind(String.prototype.slice);
const arraySlice = Function.prototype.call.bind(Array.prototype.slice);

// ---- a small event emitter, with the semantics of node:events ----

class Emitter {
	#listeners = ObjectCreate(null);

	#add(name, listener, once, first) {
		requireFunction(listener, 'listener');
		const old = this.#listeners[name] ?? [];
		const entry = { listener, once };
		this.#listeners[name] = first ? [entry, ...old] : [...old, entry];
		return this;
	}
	on(name, listener) {
		return this.#add(name, listener, false, false);
	}
	once(name, listener) {
		return this.#add(name, listener, true, false);
	}
	prependListener(name, listener) {
		return this.#add(name, listener, false, true);
	}
	off(name, listener) {
		const old = this.#listeners[name] ?? [];
		for (let i = old.length - 1; i >= 0; i--) {
			if (old[i].listener !== listener) continue;
			this.#listeners[name] = [...arraySlice(old, 0, i), ...arraySlice(old, i + 1)];
			break;
		}
		return this;
	}
	removeAllListeners(name) {
		if (name === undefined) this.#listeners = ObjectCreate(null);
		else delete this.#listeners[name];
		return this;
	}
	listenerCount(name) {
		return this.#listeners[name]?.length ?? 0;
	}
	listeners(name) {
		const found = [];
		const entries = this.#listeners[name] ?? [];
		for (let i = 0; i < entries.length; i++) found[i] = entries[i].listener;
		return found;
	}
	eventNames() {
		return ReflectOwnKeys(this.#listeners);
	}
	emit(name, ...args) {
		const entries = this.#listeners[name];
		if (entries === undefined || entries.length === 0) return false;
		for (let i = 0; i < entries.length; i++) {
			if (entries[i].once) this.off(name, entries[i].listener);
			ReflectApply(entries[i].listener, this, args);
		}
		return true;
	}
}
const alias = { addListener: Emitter.prototype.on, removeListener: Emitter.prototype.off };
for (const name of ['addListener', 'removeListener'])
	ObjectDefineProperty(Emitter.prototype, name, {
		value: alias[name],
		writable: true,
		configurable: true,
	});

// ---- output ----

class StdioStream extends Emitter {
	constructor(fd) {
		super();
		this.fd = fd;
		this.isTTY = false;
		this.writable = true;
	}
	write(chunk, encoding, callback) {
		if (typeof encoding === 'function') callback = encoding;
		if (typeof chunk !== 'string' && !ArrayBuffer.isView(chunk))
			throw invalidArgumentType(
				'chunk',
				'of type string or an instance of Buffer, TypedArray, or DataView',
				chunk,
			);
		native.writeStdio(this.fd === 2 ? 2 : 1, chunk);
		if (typeof callback === 'function') enqueueTick(callback, []);
		return true;
	}
	end(chunk, encoding, callback) {
		if (chunk !== undefined && typeof chunk !== 'function') this.write(chunk, encoding);
		const done = typeof chunk === 'function' ? chunk : callback ?? encoding;
		if (typeof done === 'function') enqueueTick(done, []);
		return this;
	}
}

// ---- environment: strings only, as in Node ----

function parseEnvironment(entries) {
	const values = {};
	for (let i = 0; i < entries.length; i++) {
		const at = stringIndexOf(entries[i], '=');
		ObjectDefineProperty(values, stringSlice(entries[i], 0, at), {
			value: stringSlice(entries[i], at + 1),
			writable: true,
			enumerable: true,
			configurable: true,
		});
	}
	return values;
}

function makeEnvironment(values) {
	return new Proxy(values, {
		set(target, name, value) {
			if (typeof name === 'symbol' || typeof value === 'symbol')
				throw new TypeError('Cannot convert a Symbol value to a string');
			target[name] = `${value}`;
			return true;
		},
		defineProperty(target, name, descriptor) {
			if ('get' in descriptor || 'set' in descriptor)
				throw nodeError(
					TypeError,
					'ERR_INVALID_OBJECT_DEFINE_PROPERTY',
					"'process.env' does not accept an accessor(getter/setter) descriptor",
				);
			return ObjectDefineProperty(target, name, {
				value: `${descriptor.value}`,
				writable: true,
				enumerable: true,
				configurable: true,
			}) === target;
		},
	});
}

// ---- process ----

function toExitCode(value) {
	if (value === undefined || value === null) return undefined;
	const number = typeof value === 'string' && value !== '' ? +value : value;
	if (!NumberIsInteger(number))
		throw invalidArgumentType('code', 'of type number', value);
	return number;
}

let exitCode;
let exiting = false;
let startedAt = 0;

function exit(code) {
	if (code !== undefined) process.exitCode = code;
	if (!exiting) {
		exiting = true;
		process.emit('exit', exitCode ?? 0);
	}
	native.exit(exitCode ?? 0);
}

function hrtime(previous) {
	const now = native.hrtimeBigint();
	const seconds = +StringConstructor(now / 1000000000n);
	const nanoseconds = +StringConstructor(now % 1000000000n);
	if (previous === undefined) return [seconds, nanoseconds];
	let s = seconds - previous[0];
	let n = nanoseconds - previous[1];
	if (n < 0) {
		s--;
		n += 1e9;
	}
	return [s, n];
}
hrtime.bigint = function bigint() {
	return native.hrtimeBigint();
};

function memoryUsage() {
	const m = native.memoryUsage();
	return { rss: m[0], heapTotal: m[1], heapUsed: m[2], external: m[3], arrayBuffers: m[4] };
}
memoryUsage.rss = function rss() {
	return native.memoryUsage()[0];
};

const NODE_VERSION = '24.0.0'; // of Node's API that this library follows
const own = native.version();

class Process extends Emitter {
	title = 'tenantd';
	version = `v${NODE_VERSION}`;
	versions = ObjectFreeze({ node: NODE_VERSION, tenantd: own[0], v8: own[1], uv: own[2] });
	arch = 'x64';
	platform = 'linux';
	release = { name: 'node' };
	pid = 1;
	ppid = 0;
	execPath = '/tenantd';
	execArgv = [];
	argv0 = 'tenantd';
	argv = ['/tenantd'];
	env = makeEnvironment({});
	stdout = new StdioStream(1);
	stderr = new StdioStream(2);
	hrtime = hrtime;
	memoryUsage = memoryUsage;
	exit = exit;

	get exitCode() {
		return exitCode;
	}
	set exitCode(value) {
		exitCode = toExitCode(value);
	}
	nextTick(callback, ...args) {
		requireFunction(callback, 'callback');
		if (!exiting) enqueueTick(callback, args);
	}
	cwd() {
		return '/app';
	}
	uptime() {
		return (native.hrtime() - startedAt) / 1000;
	}
	cpuUsage(previous) {
		const [user, system] = native.cpuUsage();
		if (previous === undefined) return { user, system };
		return { user: user - previous.user, system: system - previous.system };
	}
	emitWarning(warning, type) {
		const name = (typeof type === 'object' ? type?.type : type) ?? 'Warning';
		const error = typeof warning === 'string' ? new Error(warning) : warning;
		if (typeof warning === 'string') error.name = name;
		enqueueTick(() => {
			if (!process.emit('warning', error))
				native.writeStdio(2, `(tenantd) ${error.name}: ${error.message}\n`);
		}, []);
	}
	umask() {
		return 0o77;
	}
}
ObjectDefineProperty(Process.prototype, Symbol.toStringTag, {
	value: 'process',
	configurable: true,
});

export const process = new Process();

onUncaught('processEmit', (name, ...args) => process.emit(name, ...args));

// Called in the worker when START is known. Returns the `env` of a handler's fetch.
hooks.startProcess = () => {
	const [entry, args, environment] = native.startInfo();
	startedAt = native.hrtime();
	process.argv = ['/tenantd', `/app/${entry}`];
	for (let i = 0; i < args.length; i++) process.argv[i + 2] = args[i];
	process.env = makeEnvironment(parseEnvironment(environment));
	return parseEnvironment(environment);
};

// The loop has nothing left to do; a listener may make new work.
hooks.beforeExit = () => {
	process.emit('beforeExit', exitCode ?? 0);
};
hooks.exit = () => exit();
