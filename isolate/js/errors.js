// DOMException (WebIDL, section 2.8.1), and the errors that the library throws.

import {
	Error,
	ErrorCaptureStackTrace,
	ErrorPrototype,
	NumberIsFinite,
	ObjectDefineProperty,
	ObjectSetPrototypeOf,
	RangeError,
	TypeError,
} from './primordials.js';
import { hooks } from './hooks.js';
import { defineInterface, hasDictionaryMember, toDictionary } from './webidl.js';

const constants = {
	__proto__: null,
	INDEX_SIZE_ERR: 1,
	DOMSTRING_SIZE_ERR: 2,
	HIERARCHY_REQUEST_ERR: 3,
	WRONG_DOCUMENT_ERR: 4,
	INVALID_CHARACTER_ERR: 5,
	NO_DATA_ALLOWED_ERR: 6,
	NO_MODIFICATION_ALLOWED_ERR: 7,
	NOT_FOUND_ERR: 8,
	NOT_SUPPORTED_ERR: 9,
	INUSE_ATTRIBUTE_ERR: 10,
	INVALID_STATE_ERR: 11,
	SYNTAX_ERR: 12,
	INVALID_MODIFICATION_ERR: 13,
	NAMESPACE_ERR: 14,
	INVALID_ACCESS_ERR: 15,
	VALIDATION_ERR: 16,
	TYPE_MISMATCH_ERR: 17,
	SECURITY_ERR: 18,
	NETWORK_ERR: 19,
	ABORT_ERR: 20,
	URL_MISMATCH_ERR: 21,
	QUOTA_EXCEEDED_ERR: 22,
	TIMEOUT_ERR: 23,
	INVALID_NODE_TYPE_ERR: 24,
	DATA_CLONE_ERR: 25,
};

// Names that have a code.
const codes = {
	__proto__: null,
	IndexSizeError: 1,
	HierarchyRequestError: 3,
	WrongDocumentError: 4,
	InvalidCharacterError: 5,
	NoModificationAllowedError: 7,
	NotFoundError: 8,
	NotSupportedError: 9,
	InUseAttributeError: 10,
	InvalidStateError: 11,
	SyntaxError: 12,
	InvalidModificationError: 13,
	NamespaceError: 14,
	InvalidAccessError: 15,
	TypeMismatchError: 17,
	SecurityError: 18,
	NetworkError: 19,
	AbortError: 20,
	URLMismatchError: 21,
	QuotaExceededError: 22,
	TimeoutError: 23,
	InvalidNodeTypeError: 24,
	DataCloneError: 25,
};

// A DOMException is an Error object (it has [[ErrorData]], so a stack) although its
// class does not extend Error: private fields are put on an object that Error made.
class Identity {
	constructor(object) {
		return object;
	}
}
class Fields extends Identity {
	#message;
	#name;
	constructor(object, message, name) {
		super(object);
		this.#message = message;
		this.#name = name;
	}
	static is(value) {
		return typeof value === 'object' && value !== null && #name in value;
	}
	static message(value) {
		return value.#message;
	}
	static fieldName(value) {
		return value.#name;
	}
}
const { fieldName, is, message: fieldMessage } = Fields;
export { is as isDOMException };

// For stacks that are made without running anything of the program.
hooks.headline = (value) => (is(value) ? `${fieldName(value)}: ${fieldMessage(value)}` : undefined);

function check(value) {
	if (!is(value)) throw new TypeError('Illegal invocation');
	return value;
}

export class DOMException {
	constructor(message = '', options = 'Error') {
		let name = 'Error';
		let hasCause = false;
		let cause;
		message = `${message}`;
		if (options !== null && (typeof options === 'object' || typeof options === 'function')) {
			const dictionary = toDictionary(options, 'options');
			hasCause = hasDictionaryMember(dictionary, 'cause');
			if (hasCause) cause = dictionary.cause;
			if (dictionary.name !== undefined) name = `${dictionary.name}`;
		} else {
			name = `${options}`;
		}
		// The stack's first line takes the message from the object itself.
		const self = new Error(message);
		ObjectSetPrototypeOf(self, new.target.prototype);
		new Fields(self, message, name);
		ErrorCaptureStackTrace(self, DOMException);
		delete self.message;
		if (hasCause)
			ObjectDefineProperty(self, 'cause', {
				__proto__: null,
				value: cause,
				writable: true,
				enumerable: false,
				configurable: true,
			});
		return self;
	}
	get name() {
		return fieldName(check(this));
	}
	get message() {
		return fieldMessage(check(this));
	}
	get code() {
		return codes[fieldName(check(this))] ?? 0;
	}
}
ObjectSetPrototypeOf(DOMException.prototype, ErrorPrototype);
defineInterface(DOMException, 'DOMException', constants);

// A quota or a request for it: a number of bytes or the like, null when it is not told.
function toQuota(value, what) {
	if (value === undefined) return null;
	const number = +value;
	if (!NumberIsFinite(number)) throw new TypeError(`QuotaExceededError: ${what} is not finite`);
	if (number < 0) throw new RangeError(`QuotaExceededError: ${what} is negative`);
	return number;
}

export class QuotaExceededError extends DOMException {
	#quota;
	#requested;

	constructor(message = '', options = undefined) {
		super(message, 'QuotaExceededError');
		const dictionary = toDictionary(options, 'options');
		this.#quota = toQuota(dictionary.quota, 'quota');
		this.#requested = toQuota(dictionary.requested, 'requested');
		if (this.#quota !== null && this.#requested !== null && this.#requested < this.#quota)
			throw new RangeError('QuotaExceededError: less was requested than the quota allows');
	}
	get quota() {
		return #quota in check(this) ? this.#quota : check(undefined);
	}
	get requested() {
		return #requested in check(this) ? this.#requested : check(undefined);
	}
}
ObjectDefineProperty(QuotaExceededError, 'length', { __proto__: null, value: 0, configurable: true });
defineInterface(QuotaExceededError, 'QuotaExceededError');

// ---- for the library ----

// An error with Node's `code`.
export function codedError(Constructor, code, message) {
	const error = new Constructor(message);
	error.code = code;
	return error;
}
