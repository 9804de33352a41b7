// console (the WHATWG console standard), printing what Node prints to pipes: log, info
// and debug to the standard output, warn, error and trace to the standard error.

import {
	ArrayIsArray,
	ArrayPrototypePush,
	ArrayPrototypeUnshift,
	Error,
	ErrorCaptureStackTrace,
	FunctionPrototypeBind,
	MapIteratorPrototypeNext,
	MapPrototypeEntries,
	MathFloor,
	MathMax,
	Number,
	NumberPrototypeToFixed,
	ObjectCreate,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ObjectHasOwn,
	ObjectKeys,
	ObjectPrototype,
	ObjectValues,
	ReflectApply,
	SafeMap,
	SafeWeakMap,
	SetIteratorPrototypeNext,
	SetPrototypeValues,
	StringPrototypeIncludes,
	StringPrototypePadStart,
	StringPrototypeRepeat,
	StringPrototypeReplaceAll,
	StringPrototypeSlice,
	StringPrototypeSplit,
} from './primordials.js';
import { typedArrayName } from './bytes.js';
import { formatWithOptions, getStringWidth, inspect, previewEntries } from './inspect.js';
import { native } from './native.js';
import { process } from './node/process_object.js';
import { invalidArgumentType } from './validate.js';
import { hooks } from './hooks.js';
import { defineTag } from './webidl.js';

const { hrtime, kind, preview, writeStdio } = native;

const STDOUT = 1;
const STDERR = 2;
const GROUP_INDENT = 2;

let indent = '';
const counts = new SafeMap();
const times = new SafeMap();

// Where it goes: in a thread, to the streams of the process, which its parent reads.
let output = writeStdio;
export function setConsoleOutput(write) {
	output = write;
}

function write(fd, text) {
	if (indent !== '') {
		if (StringPrototypeIncludes(text, '\n'))
			text = StringPrototypeReplaceAll(text, '\n', `\n${indent}`);
		text = indent + text;
	}
	output(fd, `${text}\n`);
}

function format(args) {
	if (args.length === 1 && typeof args[0] === 'string') return args[0];
	return formatWithOptions(undefined, args);
}

function log(...args) {
	write(STDOUT, format(args));
}

function warn(...args) {
	write(STDERR, format(args));
}

// ---- time ----

function pad(value) {
	return StringPrototypePadStart(`${value}`, 2, '0');
}

function formatTime(ms) {
	let hours = 0;
	let minutes = 0;
	let seconds = 0;
	if (ms >= 1000) {
		if (ms >= 60_000) {
			if (ms >= 3_600_000) {
				hours = MathFloor(ms / 3_600_000);
				ms %= 3_600_000;
			}
			minutes = MathFloor(ms / 60_000);
			ms %= 60_000;
		}
		seconds = ms / 1000;
	}
	if (hours !== 0 || minutes !== 0) {
		const parts = StringPrototypeSplit(NumberPrototypeToFixed(seconds, 3), '.', 2);
		const head = hours !== 0 ? `${hours}:${pad(minutes)}` : minutes;
		return `${head}:${pad(parts[0])}.${parts[1]} (${hours !== 0 ? 'h:m' : ''}m:ss.mmm)`;
	}
	if (seconds !== 0) return `${NumberPrototypeToFixed(seconds, 3)}s`;
	return `${Number(NumberPrototypeToFixed(ms, 3))}ms`;
}

function logTime(method, label, data) {
	const start = times.get(label);
	if (start === undefined) {
		process.emitWarning(`No such label '${label}' for console.${method}()`);
		return false;
	}
	const args = ['%s: %s', label, formatTime(hrtime() - start)];
	for (let i = 0; i < data.length; i++) ArrayPrototypePush(args, data[i]);
	write(STDOUT, format(args));
	return true;
}

// ---- table ----

const KEY_COLUMN = 'Key';
const VALUES_COLUMN = 'Values';
const INDEX_COLUMN = '(index)';
const ITERATION_COLUMN = '(iteration index)';

function renderRow(row, widths) {
	let out = '│ ';
	for (let i = 0; i < row.length; i++) {
		out += row[i] + StringPrototypeRepeat(' ', widths[i] - getStringWidth(row[i]));
		if (i !== row.length - 1) out += ' │ ';
	}
	return `${out} │`;
}

function renderLine(left, middle, right, widths) {
	let out = left;
	for (let i = 0; i < widths.length; i++)
		out += (i > 0 ? middle : '') + StringPrototypeRepeat('─', widths[i] + 2);
	return out + right;
}

function renderTable(head, columns) {
	const rows = [];
	const widths = [];
	let longest = 0;
	for (let i = 0; i < columns.length; i++) longest = MathMax(longest, columns[i].length);
	for (let i = 0; i < head.length; i++) {
		widths[i] = getStringWidth(head[i]);
		for (let j = 0; j < longest; j++) {
			rows[j] ??= [];
			const cell = ObjectHasOwn(columns[i], j) ? columns[i][j] : '';
			rows[j][i] = cell;
			widths[i] = MathMax(widths[i], getStringWidth(cell));
		}
	}
	let out = `${renderLine('┌', '┬', '┐', widths)}\n${renderRow(head, widths)}\n`;
	out += `${renderLine('├', '┼', '┤', widths)}\n`;
	for (let j = 0; j < rows.length; j++) out += `${renderRow(rows[j], widths)}\n`;
	return out + renderLine('└', '┴', '┘', widths);
}

function inspectCell(value) {
	const isRecord =
		value !== null &&
		typeof value === 'object' &&
		!ArrayIsArray(value) &&
		typedArrayName(value) === undefined &&
		ObjectKeys(value).length > 2;
	return inspect(value, {
		__proto__: null,
		depth: isRecord ? -1 : 0,
		maxArrayLength: 3,
		breakLength: Infinity,
	});
}

function indexColumn(length) {
	const column = [];
	for (let i = 0; i < length; i++) column[i] = inspectCell(i);
	return column;
}

function tableOfPairs(keys, values) {
	return renderTable(
		[ITERATION_COLUMN, KEY_COLUMN, VALUES_COLUMN],
		[indexColumn(keys.length), keys, values],
	);
}

function tableOfMap(map) {
	const keys = [];
	const values = [];
	const iterator = MapPrototypeEntries(map);
	for (let step; !(step = MapIteratorPrototypeNext(iterator)).done; ) {
		ArrayPrototypePush(keys, inspectCell(step.value[0]));
		ArrayPrototypePush(values, inspectCell(step.value[1]));
	}
	return tableOfPairs(keys, values);
}

function tableOfItems(items) {
	const values = [];
	for (let i = 0; i < items.length; i++) values[i] = inspectCell(items[i]);
	return renderTable([ITERATION_COLUMN, VALUES_COLUMN], [indexColumn(values.length), values]);
}

function tableOfMapIterator(iterator) {
	const { 0: items, 1: isPairs } = previewEntries(iterator);
	if (!isPairs) return tableOfItems(items);
	const keys = [];
	const values = [];
	for (let i = 0; i < items.length; i += 2) {
		ArrayPrototypePush(keys, inspectCell(items[i]));
		ArrayPrototypePush(values, inspectCell(items[i + 1]));
	}
	return tableOfPairs(keys, values);
}

function setItems(set) {
	const items = [];
	const iterator = SetPrototypeValues(set);
	for (let step; !(step = SetIteratorPrototypeNext(iterator)).done; )
		ArrayPrototypePush(items, step.value);
	return items;
}

function tableOfRecords(data, properties) {
	const columns = { __proto__: null };
	let hasPrimitives = false;
	const primitives = [];
	const index = ObjectKeys(data);
	for (let i = 0; i < index.length; i++) {
		const item = data[index[i]];
		const primitive =
			item === null || (typeof item !== 'function' && typeof item !== 'object');
		if (properties === undefined && primitive) {
			hasPrimitives = true;
			primitives[i] = inspectCell(item);
			continue;
		}
		const keys = properties ?? ObjectKeys(item);
		for (let k = 0; k < keys.length; k++) {
			const key = keys[k];
			columns[key] ??= [];
			columns[key][i] =
				(primitive && properties) || !ObjectHasOwn(item, key) ? '' : inspectCell(item[key]);
		}
	}
	const head = ObjectKeys(columns);
	const values = ObjectValues(columns);
	if (hasPrimitives) {
		ArrayPrototypePush(head, VALUES_COLUMN);
		ArrayPrototypePush(values, primitives);
	}
	ArrayPrototypeUnshift(head, INDEX_COLUMN);
	ArrayPrototypeUnshift(values, index);
	return renderTable(head, values);
}

function tableText(data, properties) {
	switch (kind(data)) {
		case 'Map':
			return tableOfMap(data);
		case 'Set':
			return tableOfItems(setItems(data));
		case 'Map Iterator':
			return tableOfMapIterator(data);
		case 'Set Iterator':
			return tableOfItems(preview(data));
		default:
			return tableOfRecords(data, properties);
	}
}

// ---- the methods ----

const methods = {
	log,
	info(...args) {
		write(STDOUT, format(args));
	},
	debug(...args) {
		write(STDOUT, format(args));
	},
	warn,
	error(...args) {
		write(STDERR, format(args));
	},
	trace: function trace(...args) {
		const error = { name: 'Trace', message: format(args) };
		ErrorCaptureStackTrace(error, console.trace);
		write(STDERR, error.stack);
	},
	dir(object = undefined, options = undefined) {
		write(STDOUT, inspect(object, { __proto__: null, customInspect: false, ...options }));
	},
	dirxml: log,
	assert(expression = false, ...args) {
		if (expression) return;
		if (args.length > 0 && typeof args[0] === 'string')
			args[0] = `Assertion failed: ${args[0]}`;
		else ArrayPrototypeUnshift(args, 'Assertion failed');
		write(STDERR, format(args));
	},
	clear() {
		// Only terminals can be cleared, and the output is never one.
	},
	count(label = 'default') {
		label = `${label}`;
		const count = (counts.get(label) ?? 0) + 1;
		counts.set(label, count);
		write(STDOUT, `${label}: ${count}`);
	},
	countReset(label = 'default') {
		label = `${label}`;
		if (!counts.delete(label)) process.emitWarning(`Count for '${label}' does not exist`);
	},
	group(...data) {
		if (data.length > 0) write(STDOUT, format(data));
		indent += StringPrototypeRepeat(' ', GROUP_INDENT);
	},
	groupEnd() {
		indent = StringPrototypeSlice(indent, 0, MathMax(0, indent.length - GROUP_INDENT));
	},
	table(tabularData = undefined, properties = undefined) {
		if (properties !== undefined && !ArrayIsArray(properties))
			throw invalidArgumentType('properties', 'an instance of Array', properties);
		if (tabularData === null || typeof tabularData !== 'object') {
			write(STDOUT, format([tabularData]));
			return;
		}
		write(STDOUT, tableText(tabularData, properties));
	},
	time(label = 'default') {
		label = `${label}`;
		if (times.has(label))
			process.emitWarning(`Label '${label}' already exists for console.time()`);
		else times.set(label, hrtime());
	},
	timeEnd(label = 'default') {
		label = `${label}`;
		if (logTime('timeEnd', label, [])) times.delete(label);
	},
	timeLog(label = 'default', ...data) {
		logTime('timeLog', `${label}`, data);
	},
	// For a debugger's timeline, which is not there.
	timeStamp() {},
	profile() {},
	profileEnd() {},
	createTask(name = undefined) {
		if (typeof name !== 'string' || name === '')
			throw new Error('First argument must be a non-empty string.');
		const task = { run };
		tasks.set(task, true);
		return task;
	},
};

// Of createTask. A debugger would show them in stacks; its own method does, while it is there.
const tasks = new SafeWeakMap();

function run(call = undefined) {
	if (!tasks.has(this)) throw new Error("'run' called with illegal receiver.");
	if (typeof call !== 'function') throw new Error('First argument must be a function.');
	return ReflectApply(call, undefined, []);
}

// A namespace object: an empty object between it and Object.prototype, and methods that
// work without `this`.
export const console = ObjectCreate(ObjectCreate(ObjectPrototype));
const names = ObjectKeys(methods);
const own = { __proto__: null }; // what a program gets: by name
for (let i = 0; i < names.length; i++) define(names[i], methods[names[i]]);
define('groupCollapsed', methods.group);
defineTag(console, 'console');

function define(name, method) {
	const bound = name === 'trace' ? method : FunctionPrototypeBind(method, undefined);
	ObjectDefineProperty(bound, 'name', { __proto__: null, value: name, configurable: true });
	own[name] = bound;
	place(name, bound);
}

function place(name, value) {
	ObjectDefineProperty(console, name, {
		__proto__: null,
		value,
		writable: true,
		enumerable: true,
		configurable: true,
	});
}

// The engine's own console does nothing but tell a debugger, if one is there: while it is,
// methods that the program has left in their place call both.
const engineConsole = globalThis.console;
const told = { __proto__: null };

function tellDebugger(name) {
	const theirs = engineConsole[name];
	if (theirs === undefined) return own[name];
	const both = (...args) => {
		ReflectApply(theirs, engineConsole, args);
		ReflectApply(own[name], undefined, args);
	};
	ObjectDefineProperty(both, 'name', { __proto__: null, value: name, configurable: true });
	return both;
}

hooks.inspected = (on) => {
	const all = ObjectKeys(own);
	for (let i = 0; i < all.length; i++) {
		const name = all[i];
		told[name] ??= tellDebugger(name);
		const { 0: from, 1: to } = on ? [own[name], told[name]] : [told[name], own[name]];
		if (ObjectGetOwnPropertyDescriptor(console, name)?.value === from) place(name, to);
	}
};

// At the start of a worker: what the zygote's warm-up counted is not the program's.
export function resetConsole() {
	indent = '';
	counts.clear();
	times.clear();
}
