// The half of jobs that is JavaScript's (isolate/crypto_job.h): who hears of a result. `ondone`
// with node:crypto, a promise with Web Cryptography.

import { currentContext, enterContext } from '../../async_context.js';
import { DOMException } from '../../errors.js';
import { hooks } from '../../hooks.js';
import { native } from '../../native.js';
import {
	ArrayIsArray,
	FunctionPrototypeCall,
	ObjectDefineProperty,
	ObjectHasOwn,
	PromiseWithResolvers,
	ReflectConstruct,
	ReflectDeleteProperty,
} from '../../primordials.js';
import { kCryptoJobAsync, kCryptoJobWebCrypto } from './constants.js';

const pending = native.privateSymbol('pendingJob');
const keyWish = native.privateSymbol('keyWish');

// Resolving asks an object for `then`, which a program may have given to all objects.
function resolveWith(resolve, value) {
	if (typeof value !== 'object' || value === null || ObjectHasOwn(value, 'then')) {
		resolve(value);
		return;
	}
	ObjectDefineProperty(value, 'then', { __proto__: null, value: undefined, configurable: true });
	resolve(value);
	ReflectDeleteProperty(value, 'then');
}

function webResult(job, result) {
	if (job[keyWish] !== undefined) return makeKeys(job[keyWish], result);
	// Of encapsulating.
	return ArrayIsArray(result) ? { sharedKey: result[0], ciphertext: result[1] } : result;
}

function settle({ resolve, reject }, job, error, result) {
	if (error === undefined) {
		try {
			resolveWith(resolve, webResult(job, result));
			return;
		} catch (failure) {
			error = failure;
		}
	}
	reject(
		new DOMException('The operation failed for an operation-specific reason', {
			__proto__: null,
			name: 'OperationError',
			cause: error,
		}),
	);
}

hooks.onCryptoJob = (job, error, result) => {
	const waiting = job[pending];
	job[pending] = undefined;
	enterContext(waiting.context);
	if (waiting.resolve !== undefined) {
		settle(waiting, job, error, result);
		return;
	}
	const { ondone } = job;
	if (typeof ondone === 'function') FunctionPrototypeCall(ondone, job, error, result);
};

function defineRun(Job) {
	const { start } = Job.prototype;
	ReflectDeleteProperty(Job.prototype, 'start');
	ObjectDefineProperty(Job.prototype, 'run', {
		__proto__: null,
		value: function run() {
			const outcome = FunctionPrototypeCall(start, this);
			if (outcome === kCryptoJobAsync) {
				this[pending] = { context: currentContext(), resolve: undefined, reject: undefined };
				return undefined;
			}
			if (outcome !== kCryptoJobWebCrypto && !outcome[2]) return outcome;
			const { promise, resolve, reject } = PromiseWithResolvers();
			const waiting = { context: undefined, resolve, reject };
			if (outcome === kCryptoJobWebCrypto) {
				waiting.context = currentContext();
				this[pending] = waiting;
			} else {
				settle(waiting, this, outcome[0], outcome[1]);
			}
			return promise;
		},
		writable: true,
		configurable: true,
	});
	return Job;
}

// ---- keys ----

let InternalCryptoKey; // of upstream/internal/crypto/keys.js
export function setCryptoKey(constructor) {
	InternalCryptoKey = constructor;
}

// Of a secret: algorithm, usages, extractable. Of a pair: algorithm, the usages of the public
// key, those of the private one, extractable.
function makeKeys(wish, result) {
	if (wish.length === 3) return new InternalCryptoKey(result, wish[0], wish[1], wish[2]);
	return {
		publicKey: new InternalCryptoKey(result[0], wish[0], wish[1], true),
		privateKey: new InternalCryptoKey(result[1], wish[0], wish[2], wish[3]),
	};
}

// The last COUNT arguments of a job for Web Cryptography are what its keys shall be.
function keyJob(Job, count) {
	return function () {
		const job = ReflectConstruct(Job, arguments);
		const { length } = arguments;
		if (arguments[0] !== kCryptoJobWebCrypto) return job;
		const wish = [];
		for (let i = 0; i < count; i++) wish[i] = arguments[length - count + i];
		job[keyWish] = wish;
		return job;
	};
}

// ---- all of them ----

const names = [
	'AESCipherJob',
	'Argon2Job',
	'CShakeJob',
	'ChaCha20Poly1305CipherJob',
	'CheckPrimeJob',
	'DHBitsJob',
	'DHKeyExportJob',
	'ECDHBitsJob',
	'ECKeyExportJob',
	'HKDFJob',
	'HashJob',
	'HmacJob',
	'KEMDecapsulateJob',
	'KEMEncapsulateJob',
	'KangarooTwelveJob',
	'KmacJob',
	'PBKDF2Job',
	'RSACipherJob',
	'RSAKeyExportJob',
	'RandomBytesJob',
	'RandomPrimeJob',
	'ScryptJob',
	'SignJob',
	'TurboShakeJob',
];
const pairNames = [
	'DhKeyPairGenJob',
	'DsaKeyPairGenJob',
	'EcKeyPairGenJob',
	'NidKeyPairGenJob',
	'RsaKeyPairGenJob',
];

export const jobs = { SecretKeyGenJob: keyJob(defineRun(native.SecretKeyGenJob), 3) };
for (let i = 0; i < names.length; i++)
	if (native[names[i]] !== undefined) jobs[names[i]] = defineRun(native[names[i]]);
for (let i = 0; i < pairNames.length; i++)
	jobs[pairNames[i]] = keyJob(defineRun(native[pairNames[i]]), 4);
