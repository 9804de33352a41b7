// node:dns. The egress process resolves, and only names that the policy lets the program
// connect to: their addresses are all there is; other kinds of records are not.

import { native } from '../native.js';
import {
	ArrayIsArray,
	ArrayPrototypePush,
	Error,
	ErrorCaptureStackTrace,
	PromiseWithResolvers,
	ReflectApply,
} from '../primordials.js';
import { enqueueTick } from '../ticks.js';
import { codes, DNSException, systemError } from './errors.js';
import { refusalError } from './net/errors.js';
import { isIP } from './own/internal/net.js';
import { registerBuiltin } from './registry.js';
import { validateBoolean, validateFunction, validateNumber, validateOneOf, validateString } from './validators.js';

const ADDRCONFIG = 1024;
const ALL = 256;
const V4MAPPED = 2048;

let order = 'verbatim';
const ORDERS = ['verbatim', 'ipv4first', 'ipv6first'];

// ---- asking ----

function sorted(addresses, how) {
	if (how === 'verbatim') return addresses;
	const first = how === 'ipv4first' ? 4 : 6;
	const front = [];
	const back = [];
	for (let i = 0; i < addresses.length; i++)
		ArrayPrototypePush(isIP(addresses[i]) === first ? front : back, addresses[i]);
	for (let i = 0; i < back.length; i++) ArrayPrototypePush(front, back[i]);
	return front;
}

// CALLBACK(error, addresses), later. What the errors call themselves: SYSCALL.
function ask(name, family, syscall, callback) {
	const result = native.netResolve(name, family, (refusal, errno, text, addresses) => {
		if (refusal === 0 && addresses.length > 0) {
			callback(null, addresses);
			return;
		}
		const error = refusalError(refusal === 0 ? 3 : refusal, errno, text, { host: name });
		if (error.syscall === 'getaddrinfo' && syscall !== 'getaddrinfo') {
			error.syscall = syscall;
			error.message = `${syscall} ${error.code} ${name}`;
		}
		callback(error);
	});
	if (result < 0) enqueueTick(callback, [systemError(result, syscall)]);
}

// ---- lookup ----

function checkFamily(family) {
	if (family === 'IPv4') return 4;
	if (family === 'IPv6') return 6;
	validateOneOf(family, 'options.family', [0, 4, 6]);
	return family;
}

function lookupOptions(options) {
	const result = { family: 0, all: false, order };
	if (typeof options === 'number') {
		validateOneOf(options, 'family', [0, 4, 6]);
		result.family = options;
	} else if (options !== undefined && options !== null) {
		if (typeof options !== 'object')
			throw new codes.ERR_INVALID_ARG_TYPE('options', ['integer', 'object'], options);
		if (options.hints !== undefined && options.hints !== null) {
			validateNumber(options.hints, 'options.hints');
			if (options.hints & ~(ADDRCONFIG | ALL | V4MAPPED))
				throw new codes.ERR_INVALID_ARG_VALUE('hints', options.hints);
		}
		if (options.family !== undefined && options.family !== null) result.family = checkFamily(options.family);
		if (options.all !== undefined && options.all !== null) {
			validateBoolean(options.all, 'options.all');
			result.all = options.all;
		}
		if (options.verbatim !== undefined && options.verbatim !== null) {
			validateBoolean(options.verbatim, 'options.verbatim');
			result.order = options.verbatim ? 'verbatim' : 'ipv4first';
		}
		if (options.order !== undefined && options.order !== null) {
			validateOneOf(options.order, 'options.order', ORDERS);
			result.order = options.order;
		}
	}
	return result;
}

function answer(addresses, options, callback) {
	const list = sorted(addresses, options.order);
	if (!options.all) {
		callback(null, list[0], isIP(list[0]));
		return;
	}
	const all = [];
	for (let i = 0; i < list.length; i++)
		ArrayPrototypePush(all, { address: list[i], family: isIP(list[i]) });
	callback(null, all);
}

function lookup(hostname, options, callback) {
	if (typeof options === 'function') {
		callback = options;
		options = undefined;
	}
	if (hostname) validateString(hostname, 'hostname');
	validateFunction(callback, 'callback');
	const wanted = lookupOptions(options);
	if (!hostname) {
		if (wanted.all) enqueueTick(callback, [null, []]);
		else enqueueTick(callback, [null, null, wanted.family === 6 ? 6 : 4]);
		return {};
	}
	if (isIP(hostname) !== 0) {
		enqueueTick(answer, [[hostname], wanted, callback]);
		return {};
	}
	ask(hostname, wanted.family, 'getaddrinfo', (error, addresses) => {
		if (error) callback(error);
		else answer(addresses, wanted, callback);
	});
	return {};
}

// ---- resolve ----

function resolveAddresses(name, family, syscall, options, callback) {
	if (typeof options === 'function') {
		callback = options;
		options = undefined;
	}
	validateString(name, 'name');
	validateFunction(callback, 'callback');
	const ttl = Boolean(options?.ttl);
	ask(name, family, syscall, (error, addresses) => {
		if (error) {
			callback(error);
			return;
		}
		const result = [];
		for (let i = 0; i < addresses.length; i++)
			if (isIP(addresses[i]) === family)
				ArrayPrototypePush(result, ttl ? { address: addresses[i], ttl: 0 } : addresses[i]);
		if (result.length > 0) {
			callback(null, result);
			return;
		}
		const empty = new Error(`${syscall} ENODATA ${name}`);
		empty.code = 'ENODATA';
		empty.syscall = syscall;
		empty.hostname = name;
		callback(empty);
	});
	return {};
}

function resolve4(name, options, callback) {
	return resolveAddresses(name, 4, 'queryA', options, callback);
}
function resolve6(name, options, callback) {
	return resolveAddresses(name, 6, 'queryAaaa', options, callback);
}

// No record but addresses can be asked for: the error says so, as c-ares does of what a
// server does not know.
function notImplemented(syscall, name) {
	const error = new Error(`${syscall} ENOTIMP ${name}`);
	error.code = 'ENOTIMP';
	error.syscall = syscall;
	error.hostname = name;
	return error;
}

function refuse(syscall) {
	return function (name, callback) {
		if (arguments.length > 2) callback = arguments[arguments.length - 1];
		validateString(name, 'name');
		validateFunction(callback, 'callback');
		enqueueTick(callback, [notImplemented(syscall, name)]);
		return {};
	};
}

const queries = {
	__proto__: null,
	resolveAny: 'queryAny',
	resolveCaa: 'queryCaa',
	resolveCname: 'queryCname',
	resolveMx: 'queryMx',
	resolveNaptr: 'queryNaptr',
	resolveNs: 'queryNs',
	resolvePtr: 'queryPtr',
	resolveSoa: 'querySoa',
	resolveSrv: 'querySrv',
	resolveTlsa: 'queryTlsa',
	resolveTxt: 'queryTxt',
	reverse: 'getHostByAddr',
};

const methods = { resolve4, resolve6 };
for (const name of Object.keys(queries)) methods[name] = refuse(queries[name]);

const types = {
	__proto__: null,
	A: 'resolve4',
	AAAA: 'resolve6',
	ANY: 'resolveAny',
	CAA: 'resolveCaa',
	CNAME: 'resolveCname',
	MX: 'resolveMx',
	NAPTR: 'resolveNaptr',
	NS: 'resolveNs',
	PTR: 'resolvePtr',
	SOA: 'resolveSoa',
	SRV: 'resolveSrv',
	TLSA: 'resolveTlsa',
	TXT: 'resolveTxt',
};

methods.resolve = function resolve(name, type, callback) {
	if (typeof type === 'function') {
		callback = type;
		type = 'A';
	}
	validateString(name, 'name');
	validateString(type, 'rrtype');
	const method = types[type];
	if (method === undefined) throw new codes.ERR_INVALID_ARG_VALUE('rrtype', type);
	return methods[method](name, callback);
};

function lookupService(address, port, callback) {
	validateFunction(callback, 'callback');
	const error = new DNSException(-3008, 'getnameinfo', address);
	enqueueTick(callback, [error]);
	return {};
}

// ---- who is asked: the operator says so ----

function getServers() {
	return [];
}
function setServers() {
	throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('dns.setServers');
}
function getDefaultResultOrder() {
	return order;
}
function setDefaultResultOrder(value) {
	validateOneOf(value, 'dnsOrder', ORDERS);
	order = value;
}

// ---- promises ----

// METHOD with a callback at the end, as a function that returns a promise.
function promised(method, collect) {
	return function (...args) {
		const { promise, reject, resolve } = PromiseWithResolvers();
		ArrayPrototypePush(args, (error, first, second) => {
			if (error) {
				ErrorCaptureStackTrace(error);
				reject(error);
			} else {
				resolve(collect === undefined ? first : collect(first, second));
			}
		});
		ReflectApply(method, undefined, args);
		return promise;
	};
}

const promiseMethods = {};
for (const name of Object.keys(methods)) promiseMethods[name] = promised(methods[name]);

class Resolver {
	cancel() {}
	setLocalAddress() {
		throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('resolver.setLocalAddress');
	}
}
class PromisesResolver {
	cancel() {}
}
for (const name of Object.keys(methods)) {
	Resolver.prototype[name] = methods[name];
	PromisesResolver.prototype[name] = promiseMethods[name];
}
for (const Class of [Resolver, PromisesResolver]) {
	Class.prototype.getServers = getServers;
	Class.prototype.setServers = setServers;
}

const errorCodes = {};
for (const [name, value] of [
	['NODATA', 'ENODATA'], ['FORMERR', 'EFORMERR'], ['SERVFAIL', 'ESERVFAIL'],
	['NOTFOUND', 'ENOTFOUND'], ['NOTIMP', 'ENOTIMP'], ['REFUSED', 'EREFUSED'],
	['BADQUERY', 'EBADQUERY'], ['BADNAME', 'EBADNAME'], ['BADFAMILY', 'EBADFAMILY'],
	['BADRESP', 'EBADRESP'], ['CONNREFUSED', 'ECONNREFUSED'], ['TIMEOUT', 'ETIMEOUT'],
	['EOF', 'EOF'], ['FILE', 'EFILE'], ['NOMEM', 'ENOMEM'], ['DESTRUCTION', 'EDESTRUCTION'],
	['BADSTR', 'EBADSTR'], ['BADFLAGS', 'EBADFLAGS'], ['NONAME', 'ENONAME'],
	['BADHINTS', 'EBADHINTS'], ['NOTINITIALIZED', 'ENOTINITIALIZED'],
	['LOADIPHLPAPI', 'ELOADIPHLPAPI'], ['ADDRGETNETWORKPARAMS', 'EADDRGETNETWORKPARAMS'],
	['CANCELLED', 'ECANCELLED'],
])
	errorCodes[name] = value;

const shared = { getDefaultResultOrder, getServers, setDefaultResultOrder, setServers };
const promises = {
	lookup: promised(lookup, (first, family) => (ArrayIsArray(first) ? first : { address: first, family })),
	lookupService: promised(lookupService),
	...promiseMethods,
	...shared,
	Resolver: PromisesResolver,
	...errorCodes,
};
export const dns = {
	lookup,
	lookupService,
	...methods,
	...shared,
	Resolver,
	ADDRCONFIG,
	ALL,
	V4MAPPED,
	...errorCodes,
	promises,
};

registerBuiltin('dns', () => dns);
registerBuiltin('dns/promises', () => promises);
