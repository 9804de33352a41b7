// node:cluster, as far as programs look whether they are the primary: a tenant is one process,
// and how many of it there are is the policy's business.

import EventEmitter from './events.js';
import { Error } from '../primordials.js';
import { nodeError } from '../validate.js';
import { registerBuiltin } from './registry.js';

const cluster = new EventEmitter();

function refuse(name) {
	return nodeError(
		Error,
		'ERR_METHOD_NOT_IMPLEMENTED',
		`The cluster.${name}() method is not implemented: the number of instances of a tenant is set by its policy`,
	);
}

class Worker extends EventEmitter {
	constructor() {
		super();
		throw refuse('Worker');
	}
}

Object.assign(cluster, {
	isMaster: true,
	isPrimary: true,
	isWorker: false,
	SCHED_NONE: 1,
	SCHED_RR: 2,
	schedulingPolicy: 2,
	settings: {},
	workers: {},
	Worker,
	disconnect(callback) {
		callback?.();
	},
	fork() {
		throw refuse('fork');
	},
	setupMaster() {},
	setupPrimary() {},
});
registerBuiltin('cluster', () => cluster);
