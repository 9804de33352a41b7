// DatabaseSync.

import types from '../upstream/internal/util/types.js';
import { fileAccessDenied } from '../../permission.js';
import {
	Error,
	MathMax,
	NumberIsInteger,
	ObjectDefineProperty,
	RangeError,
	ReflectApply,
	ReflectConstruct,
	SymbolDispose,
	SymbolFor,
	TypeError,
} from '../../primordials.js';
import { nodeError } from '../../validate.js';
import { internalToken } from '../../webidl.js';
import {
	booleanOption,
	checkBoolean,
	checkFunction,
	checkInteger,
	checkObject,
	checkString,
	functionOption,
	stringOption,
	wrongType,
} from './checks.js';
import { AUTHORIZER, CONFLICT, FILTER, Handle } from './handle.js';
import { initialLimits, makeLimits } from './limits.js';
import { databasePath } from './path.js';
import { Session } from './session.js';
import { invalidState, noStatements, StatementSync, statementOptions } from './statement.js';
import { checkSize, SQLTagStore } from './tag_store.js';

const READ_ONLY = 1;
const FOREIGN_KEYS = 2;
const DOUBLE_QUOTES = 4;
const DEFENSIVE = 8;

const { isUint8Array } = types;

// Opens HANDLE, or says which permission is missing.
export function openHandle(handle, path, flags, timeout) {
	const refused = handle.open(path, flags, timeout);
	if (refused !== undefined) throw fileAccessDenied(refused[0], refused[1]);
}

function authorize(callback, list) {
	const code = ReflectApply(callback, undefined, list);
	if (typeof code !== 'number' || !NumberIsInteger(code))
		throw new TypeError('Authorizer callback must return an integer authorization code');
	if (code !== 0 && code !== 1 && code !== 2)
		throw new RangeError('Authorizer callback returned a invalid authorization code');
	return code;
}

// Machine code in the tenant's own process is never loaded.
function noExtensions() {
	return nodeError(
		Error,
		'ERR_LOAD_SQLITE_EXTENSION',
		'Cannot load SQLite extensions when the permission model is enabled.',
	);
}

let handleOf;
// The native object of an open database.
export function openHandleOf(database) {
	return handleOf(database);
}
export let isDatabase;

const timeoutMax = 0x7fffffff;

class Database {
	#handle = new Handle();
	#path;
	#flags;
	#timeout = 0;
	#extensions;
	#initialLimits;
	#defaults;
	#limits;

	static {
		isDatabase = (value) => typeof value === 'object' && value !== null && #handle in value;
		handleOf = (database) => database.#open();
	}
	constructor(path, options = undefined) {
		this.#path = databasePath(path);
		if (options !== undefined) checkObject(options, 'options');
		const open = this.#takeOptions(options ?? { __proto__: null });
		ObjectDefineProperty(this, SymbolFor('sqlite-type'), {
			__proto__: null,
			value: 'node:sqlite',
			enumerable: true,
		});
		if (open) this.open();
	}
	// Whether to open it now.
	#takeOptions(options) {
		const open = booleanOption(options, 'open', true);
		this.#flags = booleanOption(options, 'readOnly', false) ? READ_ONLY : 0;
		if (booleanOption(options, 'enableForeignKeyConstraints', true)) this.#flags |= FOREIGN_KEYS;
		if (booleanOption(options, 'enableDoubleQuotedStringLiterals', false))
			this.#flags |= DOUBLE_QUOTES;
		this.#extensions = booleanOption(options, 'allowExtension', false);
		if (options.timeout !== undefined) {
			checkInteger(options.timeout, 'options.timeout');
			this.#timeout = options.timeout > timeoutMax ? timeoutMax : MathMax(options.timeout, 0);
		}
		this.#defaults = statementOptions(options, {
			__proto__: null,
			bigints: false,
			arrays: false,
			bare: true,
			unknown: false,
		});
		if (booleanOption(options, 'defensive', true)) this.#flags |= DEFENSIVE;
		this.#initialLimits = initialLimits(options.limits);
		return open;
	}
	#open() {
		if (!this.#handle.isOpen()) throw invalidState('database is not open');
		return this.#handle;
	}

	// ---- opening ----

	open() {
		if (this.#handle.isOpen()) throw invalidState('database is already open');
		openHandle(this.#handle, this.#path, this.#flags, this.#timeout);
		for (let i = 0; i < this.#initialLimits.length; i++)
			this.#handle.limit(this.#initialLimits[i][0], this.#initialLimits[i][1]);
	}
	close() {
		this.#open().close();
	}
	[SymbolDispose]() {
		if (this.#handle.isOpen()) this.#handle.close();
	}
	get isOpen() {
		return this.#handle.isOpen();
	}
	get isTransaction() {
		return this.#open().isTransaction();
	}
	get limits() {
		return (this.#limits ??= makeLimits((number, value) => {
			const handle = this.#open();
			const before = handle.limit(number, value);
			return value < 0 ? before : handle.limit(number, -1);
		}));
	}

	// ---- queries ----

	prepare(sql, options = undefined) {
		const handle = this.#open();
		checkString(sql, 'sql');
		if (options !== undefined) checkObject(options, 'options');
		const chosen = statementOptions(options ?? { __proto__: null }, this.#defaults);
		const statement = handle.prepare(sql);
		if (statement === null) throw noStatements();
		return new StatementSync(internalToken, statement, handle, this, chosen);
	}
	exec(sql) {
		const handle = this.#open();
		checkString(sql, 'sql');
		handle.exec(sql);
	}
	createTagStore(maxSize = 1000) {
		this.#open();
		checkSize(maxSize);
		return new SQLTagStore(internalToken, this, maxSize);
	}

	// ---- functions ----

	function(name, options, callback) {
		const handle = this.#open();
		checkString(name, 'name');
		if (arguments.length < 3) {
			callback = options;
			options = {};
		} else {
			checkObject(options, 'options');
		}
		const bigints = booleanOption(options, 'useBigIntArguments', false);
		const varargs = booleanOption(options, 'varargs', false);
		const deterministic = booleanOption(options, 'deterministic', false);
		const directOnly = booleanOption(options, 'directOnly', false);
		checkFunction(callback, 'function');
		const count = varargs ? -1 : callback.length;
		const id = handle.keep(name, count, [callback]);
		handle.addFunction(name, count, id, bigints, deterministic, directOnly);
	}
	aggregate(name, options) {
		const handle = this.#open();
		checkString(name, 'name');
		const { start, step, result } = options;
		if (start === undefined)
			throw wrongType('options.start', 'a function or a primitive value');
		checkFunction(step, 'options.step');
		const bigints = booleanOption(options, 'useBigIntArguments', false);
		const varargs = booleanOption(options, 'varargs', false);
		const directOnly = booleanOption(options, 'directOnly', false);
		const inverse = functionOption(options, 'inverse');
		const longest = inverse === undefined ? step.length : MathMax(step.length, inverse.length);
		const count = varargs ? -1 : MathMax(longest - 1, 0);
		const begin = typeof start === 'function' ? start : () => start;
		const hasResult = typeof result === 'function';
		const id = handle.keep(name, count, [begin, step, inverse, hasResult ? result : undefined]);
		handle.addAggregate(
			name,
			count,
			id,
			bigints,
			false,
			directOnly,
			inverse !== undefined,
			hasResult,
		);
	}
	setAuthorizer(callback) {
		const handle = this.#open();
		if (callback !== null && typeof callback !== 'function')
			throw wrongType('callback', 'a function or null');
		// Refuses first: the authorizer itself may ask.
		handle.setAuthorizer(callback !== null);
		handle.set(AUTHORIZER, callback === null ? undefined : (...list) => authorize(callback, list));
	}

	// ---- the file ----

	location(dbName = 'main') {
		const handle = this.#open();
		checkString(dbName, 'dbName');
		return handle.location(dbName);
	}
	serialize(dbName = 'main') {
		const handle = this.#open();
		checkString(dbName, 'dbName');
		return handle.serialize(dbName);
	}
	deserialize(buffer, options = undefined) {
		const handle = this.#open();
		if (!isUint8Array(buffer)) throw wrongType('buffer', 'a Uint8Array');
		if (buffer.byteLength === 0)
			throw nodeError(
				TypeError,
				'ERR_INVALID_ARG_VALUE',
				'The "buffer" argument must not be empty.',
			);
		if (options !== undefined) checkObject(options, 'options');
		handle.deserialize(buffer, stringOption(options ?? { __proto__: null }, 'dbName', 'main'));
	}

	// ---- changes ----

	createSession(options = undefined) {
		const handle = this.#open();
		if (options !== undefined) checkObject(options, 'options');
		const table = stringOption(options ?? { __proto__: null }, 'table', undefined);
		const schema = stringOption(options ?? { __proto__: null }, 'db', 'main');
		return new Session(internalToken, handle.createSession(schema, table), handle, this);
	}
	applyChangeset(changeset, options = undefined) {
		const handle = this.#open();
		if (!isUint8Array(changeset)) throw wrongType('changeset', 'a Uint8Array');
		if (options !== undefined) checkObject(options, 'options');
		const onConflict = functionOption(options ?? { __proto__: null }, 'onConflict');
		const filter = functionOption(options ?? { __proto__: null }, 'filter');
		const filterBefore = handle.set(FILTER, filter);
		const conflictBefore = handle.set(CONFLICT, onConflict);
		try {
			return handle.applyChangeset(changeset, filter !== undefined, onConflict !== undefined);
		} finally {
			handle.set(FILTER, filterBefore);
			handle.set(CONFLICT, conflictBefore);
		}
	}

	// ---- settings ----

	enableDefensive(active) {
		const handle = this.#open();
		checkBoolean(active, 'active');
		handle.defensive(active);
	}
	enableLoadExtension(allow) {
		this.#open();
		checkBoolean(allow, 'allow');
		if (!allow) return;
		if (!this.#extensions)
			throw invalidState(
				'Cannot enable extension loading because it was disabled at database creation.',
			);
		throw noExtensions();
	}
	loadExtension(path) {
		this.#open();
		if (!this.#extensions) throw invalidState('extension loading is not allowed');
		checkString(path, 'path');
		throw noExtensions();
	}
}

// Called without `new`, it says so in Node's words.
function DatabaseSync(...list) {
	if (new.target === undefined)
		throw nodeError(
			TypeError,
			'ERR_CONSTRUCT_CALL_REQUIRED',
			'Cannot call constructor without `new`',
		);
	return ReflectConstruct(Database, list, new.target);
}
DatabaseSync.prototype = Database.prototype;
ObjectDefineProperty(DatabaseSync, 'prototype', { __proto__: null, writable: false });
ObjectDefineProperty(DatabaseSync, 'length', { __proto__: null, value: 0, configurable: true });
ObjectDefineProperty(Database.prototype, 'constructor', { __proto__: null, value: DatabaseSync });

export { DatabaseSync };
