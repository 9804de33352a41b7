// backup(): copies a database while it is used, some pages at a turn of the event loop.

import { native } from '../../native.js';
import { PromiseWithResolvers } from '../../primordials.js';
import { setImmediate, setTimeout } from '../../timers.js';
import { checkFunction, checkInteger, checkObject, outOfRange, stringOption, wrongType } from './checks.js';
import { isDatabase, openHandle, openHandleOf } from './database.js';
import { Handle } from './handle.js';
import { databasePath } from './path.js';

const { SqliteBackup } = native;
const RATE = 100;
const BUSY_MS = 10;

function checkRate(rate) {
	checkInteger(rate, 'options.rate');
	if (rate < 1 || rate > 0x7fffffff) throw outOfRange('options.rate', 'a positive integer');
}

function copy(job) {
	try {
		const [done, busy, remaining, total] = job.backup.step(job.rate);
		if (done) {
			job.end();
			job.resolve(total);
			return;
		}
		if (!busy) job.progress?.({ totalPages: total, remainingPages: remaining });
		if (busy) setTimeout(copy, BUSY_MS, job);
		else setImmediate(copy, job);
	} catch (error) {
		job.end();
		job.reject(error);
	}
}

function begin(job, source, path, sourceName, targetName) {
	const target = new Handle();
	openHandle(target, path, 0, 0);
	job.end = () => {
		job.backup?.finish();
		if (target.isOpen()) target.close();
	};
	job.source = source;
	job.backup = new SqliteBackup(target, targetName, source, sourceName);
	setImmediate(copy, job);
}

export function backup(sourceDb, path) {
	const options = arguments[2];
	if (!isDatabase(sourceDb)) throw wrongType('sourceDb', 'an object');
	const source = openHandleOf(sourceDb);
	const where = databasePath(path);
	if (options !== undefined) checkObject(options, 'options');
	const rate = options?.rate ?? RATE;
	checkRate(rate);
	const sourceName = stringOption(options ?? { __proto__: null }, 'source', 'main');
	const targetName = stringOption(options ?? { __proto__: null }, 'target', 'main');
	const progress = options?.progress;
	if (progress !== undefined) checkFunction(progress, 'options.progress');
	const { promise, resolve, reject } = PromiseWithResolvers();
	const job = { __proto__: null, rate, progress, resolve, reject, owner: sourceDb, end() {} };
	try {
		begin(job, source, where, sourceName, targetName);
	} catch (error) {
		job.end();
		reject(error);
	}
	return promise;
}
