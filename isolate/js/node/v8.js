// node:v8, as far as it tells numbers of the heap. Flags cannot be changed: one V8 is like all
// others. There is no Serializer: structuredClone copies values.

import { native } from '../native.js';
import { Error } from '../primordials.js';
import { nodeError } from '../validate.js';
import { registerBuiltin } from './registry.js';
import { validateString } from './validators.js';

function getHeapStatistics() {
	const [, total, used, external] = native.memoryUsage();
	const limit = native.heapLimit();
	return {
		total_heap_size: total,
		total_heap_size_executable: 0,
		total_physical_size: total,
		total_available_size: limit - used,
		used_heap_size: used,
		heap_size_limit: limit,
		malloced_memory: 0,
		peak_malloced_memory: 0,
		does_zap_garbage: 0,
		number_of_native_contexts: 1,
		number_of_detached_contexts: 0,
		total_global_handles_size: 0,
		used_global_handles_size: 0,
		external_memory: external,
	};
}

const exports = {
	getHeapStatistics,
	setFlagsFromString(flags) {
		validateString(flags, 'flags');
		throw nodeError(
			Error,
			'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
			"V8's flags are the same for all tenants: v8.setFlagsFromString() is not available",
		);
	},
	startupSnapshot: { isBuildingSnapshot: () => false },
};
registerBuiltin('v8', () => exports);
