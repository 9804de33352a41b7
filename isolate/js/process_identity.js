// process.setuid and its kin: a tenant has one identity, and no capability to take another. Arguments
// are checked as Node does.

import { native } from './native.js';
import { codes, ErrnoException } from './node/errors.js';
import { validateArray, validateUint32 } from './node/validators.js';
import { ObjectDefineProperty } from './primordials.js';

const EPERM = -1;

// Numbers are anybody's; of names only one is known here (os.userInfo).
function checkId(id, name, kind) {
	if (typeof id === 'number') {
		validateUint32(id, name);
		return id;
	}
	if (typeof id !== 'string') throw new codes.ERR_INVALID_ARG_TYPE(name, ['number', 'string'], id);
	if (id !== 'tenant') throw new codes.ERR_UNKNOWN_CREDENTIAL(kind, id);
	return native.limits()[1];
}

function setter(name, kind) {
	const set = (id) => {
		// What it is already.
		if (checkId(id, 'id', kind) !== native.limits()[1]) throw new ErrnoException(EPERM, name);
	};
	ObjectDefineProperty(set, 'name', { __proto__: null, value: name, configurable: true });
	return set;
}

export const identity = {
	setuid: setter('setuid', 'User'),
	seteuid: setter('seteuid', 'User'),
	setgid: setter('setgid', 'Group'),
	setegid: setter('setegid', 'Group'),
	setgroups(groups) {
		validateArray(groups, 'groups');
		for (let i = 0; i < groups.length; i++) checkId(groups[i], `groups[${i}]`, 'Group');
		throw new ErrnoException(EPERM, 'setgroups');
	},
	initgroups(user, extraGroup) {
		if (typeof user === 'number') validateUint32(user, 'user');
		else if (typeof user !== 'string')
			throw new codes.ERR_INVALID_ARG_TYPE('user', ['number', 'string'], user);
		checkId(extraGroup, 'extraGroup', 'Group');
		throw new ErrnoException(EPERM, 'initgroups');
	},
};
