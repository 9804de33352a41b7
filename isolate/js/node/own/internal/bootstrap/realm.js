// Which modules are built in, as Node's loader asks for it: on ../../../registry.js.

import { StringPrototypeSlice, StringPrototypeStartsWith } from '../../../../primordials.js';
import { builtinModule, builtinNames, isBuiltinName } from '../../../registry.js';

const PREFIX = 'node:';

export class BuiltinModule {
	constructor(id) {
		this.id = id;
		this.exports = builtinModule(id);
	}
	// It is made when it is registered.
	compileForPublicLoader() {
		return this.exports;
	}

	static map = {
		__proto__: null,
		get: (id) => (BuiltinModule.exists(id) ? new BuiltinModule(id) : undefined),
		// What an ES module has imported stays as it was then.
		values: () => [],
	};
	static exists(id) {
		return isBuiltinName(id) || isBuiltinName(PREFIX + id);
	}
	static canBeRequiredByUsers(id) {
		return BuiltinModule.exists(id);
	}
	static canBeRequiredWithoutScheme(id) {
		return isBuiltinName(id) && !StringPrototypeStartsWith(id, PREFIX);
	}
	static normalizeRequirableId(id) {
		if (StringPrototypeStartsWith(id, PREFIX)) {
			const name = StringPrototypeSlice(id, PREFIX.length);
			if (isBuiltinName(id)) return id;
			return isBuiltinName(name) && !StringPrototypeStartsWith(name, 'tenantd:') ? name : undefined;
		}
		return isBuiltinName(id) ? id : undefined;
	}
	static isBuiltin(id) {
		return typeof id === 'string' && BuiltinModule.normalizeRequirableId(id) !== undefined;
	}
	static getAllBuiltinModuleIds() {
		return builtinNames();
	}
}
