// The `process` object: what scripts need of it.

import { hooks } from './hooks.js';
import { native } from './native.js';
import { EventEmitter } from './node/events.js';
import debuglog from './node/upstream/internal/util/debuglog.js';
import { codes } from './node/errors.js';
import { process, ProcessPrototype } from './node/process_object.js';
import { registerBuiltin, builtinModule } from './node/registry.js';
import { getStdin, stderr, stdout } from './node/stdio.js';
import { validateArray, validateFunction, validateInteger, validateObject, validateString } from './node/validators.js';
import {
	NumberIsNaN,
	ObjectDefineProperty,
	ObjectFreeze,
	ObjectKeys,
	ObjectSetPrototypeOf,
	Proxy,
	ReflectApply,
	String,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	SymbolToStringTag,
	TypeError,
} from './primordials.js';
import { enqueueTick } from './ticks.js';
import { onUncaught } from './uncaught.js';
import { nodeError } from './validate.js';
import { emitWarning, printWarning } from './warnings.js';

export { process };

ObjectSetPrototypeOf(ProcessPrototype, EventEmitter.prototype);
ObjectDefineProperty(ProcessPrototype, SymbolToStringTag, {
	__proto__: null,
	value: 'process',
	configurable: true,
});
ReflectApply(EventEmitter, process, []);

// ---- environment: strings only, as in Node ----

function parseEnvironment(entries) {
	const values = {};
	for (let i = 0; i < entries.length; i++) {
		const at = StringPrototypeIndexOf(entries[i], '=');
		ObjectDefineProperty(values, StringPrototypeSlice(entries[i], 0, at), {
			__proto__: null,
			value: StringPrototypeSlice(entries[i], at + 1),
			writable: true,
			enumerable: true,
			configurable: true,
		});
	}
	return values;
}

function makeEnvironment(values) {
	return new Proxy(values, {
		__proto__: null,
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
			if (!descriptor.configurable || !descriptor.writable || !descriptor.enumerable)
				throw nodeError(
					TypeError,
					'ERR_INVALID_OBJECT_DEFINE_PROPERTY',
					"'process.env' only accepts a configurable, writable, and enumerable data descriptor",
				);
			if (typeof name === 'symbol' || typeof descriptor.value === 'symbol')
				throw new TypeError('Cannot convert a Symbol value to a string');
			ObjectDefineProperty(target, name, {
				__proto__: null,
				value: `${descriptor.value}`,
				writable: true,
				enumerable: true,
				configurable: true,
			});
			return true;
		},
	});
}

// ---- the end ----

function toExitCode(value) {
	if (value === undefined || value === null) return undefined;
	const number = typeof value === 'string' && value !== '' ? +value : value;
	validateInteger(NumberIsNaN(number) ? value : number, 'code');
	return number;
}

let exitCode;
let exiting = false;
let startedAt = 0;

// Tells the program once that it ends. The code to end with.
function emitExit() {
	if (!exiting) {
		exiting = true;
		process.emit('exit', exitCode ?? 0);
	}
	return exitCode ?? 0;
}

function exit(code) {
	if (code !== undefined) process.exitCode = code;
	native.exit(emitExit());
	// In a thread that returns, and ends what runs when V8 next looks.
	for (;;);
}

function emitBeforeExit() {
	process.emit('beforeExit', exitCode ?? 0);
}

// As when a process of its own has nothing left to do. The code to end with.
export function endProcess() {
	emitBeforeExit();
	return emitExit();
}

// ---- time and memory ----

function hrtime(previous) {
	const now = native.hrtimeBigint();
	const seconds = +String(now / 1000000000n);
	const nanoseconds = +String(now % 1000000000n);
	if (previous === undefined) return [seconds, nanoseconds];
	validateArray(previous, 'time');
	if (previous.length !== 2) throw new codes.ERR_OUT_OF_RANGE('time', 2, previous.length);
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

// ---- the rest ----

const members = {
	pid: 1,
	ppid: 0,
	execPath: '/tenantd',
	execArgv: [],
	argv0: 'tenantd',
	argv: ['/tenantd'],
	env: makeEnvironment({}),
	config: ObjectFreeze({ target_defaults: ObjectFreeze({}), variables: ObjectFreeze({}) }),
	stdout,
	stderr,
	cwd() {
		return native.fsFolder();
	},
	threadCpuUsage(previous) {
		const [user, system] = native.threadCpuUsage();
		if (previous === undefined) return { user, system };
		validateObject(previous, 'prevValue');
		return { user: user - previous.user, system: system - previous.system };
	},
	constrainedMemory() {
		return native.limits()[0];
	},
	emitWarning,
	exit,
	getBuiltinModule(id) {
		validateString(id, 'id');
		return builtinModule(id);
	},
	getegid: () => native.limits()[1],
	geteuid: () => native.limits()[1],
	getgid: () => native.limits()[1],
	getuid: () => native.limits()[1],
	hrtime,
	memoryUsage,
	nextTick(callback, ...args) {
		validateFunction(callback, 'callback');
		if (!exiting) enqueueTick(callback, args);
	},
	uptime() {
		return (native.hrtime() - startedAt) / 1000;
	},
};
const names = ObjectKeys(members);
for (let i = 0; i < names.length; i++) process[names[i]] = members[names[i]];

function defineAccessor(name, get, set) {
	ObjectDefineProperty(process, name, {
		__proto__: null,
		get,
		set,
		enumerable: true,
		configurable: true,
	});
}
defineAccessor(
	'exitCode',
	() => exitCode,
	(value) => {
		exitCode = toExitCode(value);
	},
);
defineAccessor('stdin', getStdin, undefined);

registerBuiltin('process', () => process);
process.on('warning', printWarning);

// Whether the program took it.
onUncaught('processEmit', (name, error, ...more) => {
	if (name === 'uncaughtException') process.emit('uncaughtExceptionMonitor', error, ...more);
	return process.emit(name, error, ...more);
});

// Called in the worker when START is known. Returns the `env` of a handler's fetch.
hooks.startProcess = () => {
	const [entry, args, environment, root] = native.startInfo();
	startedAt = native.hrtime();
	process.argv = ['/tenantd', `${root}/${entry}`];
	for (let i = 0; i < args.length; i++) process.argv[i + 2] = args[i];
	process.env = makeEnvironment(parseEnvironment(environment));
	if (process.env.NODE_DEBUG) debuglog.initializeDebugEnv(process.env.NODE_DEBUG);
	return parseEnvironment(environment);
};

// The loop has nothing left to do; a listener may make new work.
hooks.beforeExit = emitBeforeExit;
hooks.exit = () => exit();

// In a thread, whose parent gave it these.
hooks.startThreadProcess = (env, execArgv) => {
	startedAt = native.hrtime();
	process.argv = ['/tenantd'];
	process.execArgv = execArgv;
	process.env = makeEnvironment(env);
};
hooks.emitExit = emitExit;
