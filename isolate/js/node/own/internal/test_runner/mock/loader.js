// What mock.module() of Node stands on: there is none here (../../../../test.js).

import { SafeMap } from '../../../../../primordials.js';

export const hooks = { __proto__: null };
export const mocks = new SafeMap();
export const constants = { __proto__: null, kBadExportsMessage: '', kMockSearchParam: 'node-test-mock' };
