// SQLTagStore: prepared statements by the text of a template, the most recent ones.

import {
	ArrayIsArray,
	ArrayPrototypeJoin,
	NumberIsInteger,
	SafeMap,
	TypeError,
} from '../../primordials.js';
import { nodeError } from '../../validate.js';
import { internalToken } from '../../webidl.js';
import { illegalConstructor, outOfRange, wrongType } from './checks.js';
import { invalidState, isFinalized, parameterCount, run } from './statement.js';

const SIZE_MAX = 0x7fffffff;

export function checkSize(size) {
	if (typeof size !== 'number') throw wrongType('maxSize', 'a positive integer');
	if (!NumberIsInteger(size) || size < 1 || size > SIZE_MAX)
		throw outOfRange('maxSize', 'a positive integer');
}

const badArgument = (message) => nodeError(TypeError, 'ERR_INVALID_ARG_VALUE', message);

export class SQLTagStore {
	#database;
	#capacity;
	#statements = new SafeMap(); // the one that was used last is the last

	constructor(token, database, capacity) {
		if (token !== internalToken) illegalConstructor();
		this.#database = database;
		this.#capacity = capacity;
	}
	get capacity() {
		return this.#capacity;
	}
	get db() {
		return this.#database;
	}
	get size() {
		return this.#statements.size;
	}
	clear() {
		this.#statements.clear();
	}

	#find(sql) {
		const found = this.#statements.get(sql);
		this.#statements.delete(sql);
		if (found !== undefined && !isFinalized(found)) return found;
		return this.#database.prepare(sql);
	}
	#run(method, strings, values) {
		if (!this.#database.isOpen) throw invalidState('database is not open');
		if (!ArrayIsArray(strings))
			throw nodeError(
				TypeError,
				'ERR_INVALID_ARG_TYPE',
				'First argument must be an array of strings (template literal).',
			);
		const sql = ArrayPrototypeJoin(strings, '?');
		const statement = this.#find(sql);
		if (parameterCount(statement) !== values.length)
			throw badArgument('SQLite parameters must be bound using template literal placeholders.');
		this.#statements.set(sql, statement);
		if (this.#statements.size > this.#capacity)
			this.#statements.delete(this.#statements.keys().next().value);
		return run(statement, method, values);
	}
	get(strings, ...values) {
		return this.#run('get', strings, values);
	}
	all(strings, ...values) {
		return this.#run('all', strings, values);
	}
	iterate(strings, ...values) {
		return this.#run('iterate', strings, values);
	}
	run(strings, ...values) {
		return this.#run('run', strings, values);
	}
}
