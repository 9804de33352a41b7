// Session: the changes that are made to a database.

import { SymbolDispose } from '../../primordials.js';
import { internalToken } from '../../webidl.js';
import { illegalConstructor } from './checks.js';
import { invalidState } from './statement.js';

export class Session {
	#handle;
	#database; // the native database
	#owner;

	constructor(token, handle, database, owner) {
		if (token !== internalToken) illegalConstructor();
		this.#handle = handle;
		this.#database = database;
		this.#owner = owner;
	}
	#check() {
		if (!this.#database.isOpen()) throw invalidState('database is not open');
		if (!this.#handle.isOpen()) throw invalidState('session is not open');
	}
	changeset() {
		this.#check();
		return this.#handle.changeset(this.#database);
	}
	patchset() {
		this.#check();
		return this.#handle.patchset(this.#database);
	}
	close() {
		this.#check();
		this.#handle.close();
	}
	[SymbolDispose]() {
		if (this.#owner !== undefined && this.#handle.isOpen()) this.#handle.close();
	}
}
