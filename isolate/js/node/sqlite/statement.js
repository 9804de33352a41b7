// StatementSync.

import types from '../upstream/internal/util/types.js';
import {
	ArrayBufferIsView,
	ArrayPrototypePush,
	Error,
	IteratorPrototype,
	ObjectKeys,
	ObjectSetPrototypeOf,
	SafeMap,
	StringPrototypeSlice,
	TypeError,
} from '../../primordials.js';
import { nodeError } from '../../validate.js';
import { internalToken } from '../../webidl.js';
import { booleanOption, checkBoolean, illegalConstructor } from './checks.js';

const BIGINTS = 1;
const ARRAYS = 2;

const { isAnyArrayBuffer } = types;
const isNamed = (value) =>
	typeof value === 'object' &&
	value !== null &&
	!ArrayBufferIsView(value) &&
	!isAnyArrayBuffer(value);

export function invalidState(message) {
	return nodeError(Error, 'ERR_INVALID_STATE', message);
}

// The options of one statement, over DEFAULTS of its database.
export function statementOptions(options, defaults) {
	return {
		__proto__: null,
		bigints: booleanOption(options, 'readBigInts', defaults.bigints),
		arrays: booleanOption(options, 'returnArrays', defaults.arrays),
		bare: booleanOption(options, 'allowBareNamedParameters', defaults.bare),
		unknown: booleanOption(options, 'allowUnknownNamedParameters', defaults.unknown),
	};
}

let runStatement;
export function run(statement, method, list) {
	return runStatement(statement, method, list);
}
let parameterCount;
export { parameterCount };
let isFinalized;
export { isFinalized };

export class StatementSync {
	#handle; // the native statement
	#database; // keeps the database: [native database]
	#options;
	#flags = 0;
	#positions; // of the parameters without names
	#names; // of the others: Map of name to number
	#bareNames;
	#count = 0;
	#generation = 0;

	static {
		runStatement = (statement, method, list) => statement.#run(method, list);
		parameterCount = (statement) => {
			statement.#learnParameters();
			return statement.#count;
		};
		isFinalized = (statement) => statement.#handle.isFinalized();
	}
	constructor(token, handle, database, owner, options) {
		if (token !== internalToken) illegalConstructor();
		this.#handle = handle;
		this.#database = [database, owner];
		this.#options = options;
		this.#flags = (options.bigints ? BIGINTS : 0) | (options.arrays ? ARRAYS : 0);
	}

	// ---- parameters ----

	#learnParameters() {
		if (this.#positions !== undefined) return;
		const names = this.#handle.parameters();
		const positions = [];
		this.#names = new SafeMap();
		this.#count = names.length;
		for (let i = 0; i < names.length; i++) {
			const name = names[i];
			if (name === null || name[0] === '?') ArrayPrototypePush(positions, i + 1);
			if (name !== null) this.#names.set(name, i + 1);
		}
		this.#positions = positions;
	}
	#learnBareNames() {
		const bare = new SafeMap();
		const full = new SafeMap();
		const names = this.#handle.parameters();
		for (let i = 0; i < names.length; i++) {
			if (names[i] === null) continue;
			const name = StringPrototypeSlice(names[i], 1);
			const other = full.get(name);
			if (other !== undefined && other !== names[i])
				throw invalidState(
					`Cannot create bare named parameter '${name}' because of conflicting names '${other}' and '${names[i]}'.`,
				);
			full.set(name, names[i]);
			bare.set(name, i + 1);
		}
		this.#bareNames = bare;
	}
	#numberOf(name) {
		const number = this.#names.get(name);
		if (number !== undefined || !this.#options.bare) return number;
		return this.#bareNames.get(name);
	}
	#bindNamed(values, bindings) {
		if (this.#options.bare && this.#bareNames === undefined) this.#learnBareNames();
		const names = ObjectKeys(values);
		for (let i = 0; i < names.length; i++) {
			const number = this.#numberOf(names[i]);
			if (number === undefined) {
				if (this.#options.unknown) continue;
				throw invalidState(`Unknown named parameter '${names[i]}'`);
			}
			ArrayPrototypePush(bindings, number);
			ArrayPrototypePush(bindings, values[names[i]]);
		}
	}
	// [number of the parameter, value, …]
	#bind(list) {
		const bindings = [];
		let next = 0;
		this.#learnParameters();
		if (list.length > 0 && isNamed(list[0])) this.#bindNamed(list[next++], bindings);
		for (let i = 0; next < list.length; i++, next++) {
			// One too many is SQLite's to complain about.
			ArrayPrototypePush(bindings, this.#positions[i] ?? this.#count + 1);
			ArrayPrototypePush(bindings, list[next]);
		}
		return bindings;
	}

	// ---- running ----

	#check() {
		if (this.#handle.isFinalized()) throw invalidState('statement has been finalized');
	}
	#run(method, list) {
		this.#check();
		const bindings = this.#bind(list);
		this.#generation++;
		const database = this.#database[0];
		if (method === 'iterate') {
			this.#handle.start(database, bindings);
			return this.#iterator();
		}
		if (method === 'get') return this.#handle.get(database, bindings, this.#flags);
		if (method === 'all') return this.#handle.all(database, bindings, this.#flags);
		const result = this.#handle.run(database, bindings, this.#flags);
		return { changes: result[0], lastInsertRowid: result[1] };
	}
	#iterator() {
		const generation = this.#generation;
		const handle = this.#handle;
		let done = false;
		const check = () => {
			this.#check();
			if (!done && generation !== this.#generation)
				throw invalidState('iterator was invalidated');
		};
		return makeIterator(
			() => {
				check();
				if (done) return undefined;
				const row = handle.next(this.#database[0], this.#flags);
				if (row === undefined) done = true;
				return row;
			},
			() => {
				check();
				if (!done) handle.reset();
				done = true;
			},
		);
	}
	iterate(...list) {
		return this.#run('iterate', list);
	}
	all(...list) {
		return this.#run('all', list);
	}
	get(...list) {
		return this.#run('get', list);
	}
	run(...list) {
		return this.#run('run', list);
	}

	// ---- what it is ----

	columns() {
		this.#check();
		const list = this.#handle.columns();
		const columns = [];
		for (let i = 0; i < list.length; i++)
			ArrayPrototypePush(columns, {
				__proto__: null,
				column: list[i][0],
				database: list[i][1],
				name: list[i][2],
				table: list[i][3],
				type: list[i][4],
			});
		return columns;
	}
	get sourceSQL() {
		this.#check();
		return this.#handle.sourceSQL();
	}
	get expandedSQL() {
		this.#check();
		return this.#handle.expandedSQL();
	}
	setAllowBareNamedParameters(enabled) {
		this.#check();
		checkBoolean(enabled, 'allowBareNamedParameters');
		this.#options.bare = enabled;
	}
	setAllowUnknownNamedParameters(enabled) {
		this.#check();
		checkBoolean(enabled, 'enabled');
		this.#options.unknown = enabled;
	}
	setReadBigInts(enabled) {
		this.#check();
		checkBoolean(enabled, 'readBigInts');
		this.#flags = enabled ? this.#flags | BIGINTS : this.#flags & ~BIGINTS;
	}
	setReturnArrays(enabled) {
		this.#check();
		checkBoolean(enabled, 'returnArrays');
		this.#flags = enabled ? this.#flags | ARRAYS : this.#flags & ~ARRAYS;
	}
}

// ---- iterators ----

let makeIterator;

class StatementSyncIterator {
	#next;
	#return;

	static {
		makeIterator = (next, finish) => new StatementSyncIterator(internalToken, next, finish);
	}
	constructor(token, next, finish) {
		if (token !== internalToken) illegalConstructor();
		this.#next = next;
		this.#return = finish;
	}
	next() {
		const value = this.#next();
		return value === undefined
			? { __proto__: null, done: true, value: null }
			: { __proto__: null, done: false, value };
	}
	return() {
		this.#return();
		return { __proto__: null, done: true, value: null };
	}
}
ObjectSetPrototypeOf(StatementSyncIterator.prototype, IteratorPrototype);

export function noStatements() {
	return nodeError(TypeError, 'ERR_INVALID_ARG_VALUE', 'The SQL query contains no statements.');
}
