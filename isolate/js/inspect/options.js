// The options of inspect, and its colours.
//
// Adapted from lib/internal/util/inspect.js of Node.js 24, so that console prints what
// Node prints. Copyright Node.js contributors; MIT license, see LICENSE.node beside this.

import {
	ObjectAssign,
	ObjectDefineProperty,
	ObjectKeys,
	ObjectSeal,
	ObjectSetPrototypeOf,
} from '../primordials.js';

// What a group of properties belongs to.
export const kObjectType = 0;
export const kArrayType = 1;
export const kArrayExtrasType = 2;

// These options must stay in sync with `getUserOptions`. So if any option will
// be added or removed, `getUserOptions` must also be updated accordingly.
export const inspectDefaultOptions = ObjectSeal({
	showHidden: false,
	depth: 2,
	colors: false,
	customInspect: true,
	showProxy: false,
	maxArrayLength: 100,
	maxStringLength: 10000,
	breakLength: 80,
	compact: 3,
	sorted: false,
	getters: false,
	numericSeparator: false,
});

// Set Graphics Rendition https://en.wikipedia.org/wiki/ANSI_escape_code#graphics
// Each color consists of an array with the color code as first entry and the
// reset code as second entry.
const defaultFG = 39;
const defaultBG = 49;
export const colors = {
	__proto__: null,
	reset: [0, 0],
	bold: [1, 22],
	dim: [2, 22], // Alias: faint
	italic: [3, 23],
	underline: [4, 24],
	blink: [5, 25],
	// Swap foreground and background colors
	inverse: [7, 27], // Alias: swapcolors, swapColors
	hidden: [8, 28], // Alias: conceal
	strikethrough: [9, 29], // Alias: strikeThrough, crossedout, crossedOut
	doubleunderline: [21, 24], // Alias: doubleUnderline
	black: [30, defaultFG],
	red: [31, defaultFG],
	green: [32, defaultFG],
	yellow: [33, defaultFG],
	blue: [34, defaultFG],
	magenta: [35, defaultFG],
	cyan: [36, defaultFG],
	white: [37, defaultFG],
	bgBlack: [40, defaultBG],
	bgRed: [41, defaultBG],
	bgGreen: [42, defaultBG],
	bgYellow: [43, defaultBG],
	bgBlue: [44, defaultBG],
	bgMagenta: [45, defaultBG],
	bgCyan: [46, defaultBG],
	bgWhite: [47, defaultBG],
	framed: [51, 54],
	overlined: [53, 55],
	gray: [90, defaultFG], // Alias: grey, blackBright
	redBright: [91, defaultFG],
	greenBright: [92, defaultFG],
	yellowBright: [93, defaultFG],
	blueBright: [94, defaultFG],
	magentaBright: [95, defaultFG],
	cyanBright: [96, defaultFG],
	whiteBright: [97, defaultFG],
	bgGray: [100, defaultBG], // Alias: bgGrey, bgBlackBright
	bgRedBright: [101, defaultBG],
	bgGreenBright: [102, defaultBG],
	bgYellowBright: [103, defaultBG],
	bgBlueBright: [104, defaultBG],
	bgMagentaBright: [105, defaultBG],
	bgCyanBright: [106, defaultBG],
	bgWhiteBright: [107, defaultBG],
};

function defineColorAlias(target, alias) {
	ObjectDefineProperty(colors, alias, {
		__proto__: null,
		get() {
			return this[target];
		},
		set(value) {
			this[target] = value;
		},
		configurable: true,
		enumerable: false,
	});
}

defineColorAlias('gray', 'grey');
defineColorAlias('gray', 'blackBright');
defineColorAlias('bgGray', 'bgGrey');
defineColorAlias('bgGray', 'bgBlackBright');
defineColorAlias('dim', 'faint');
defineColorAlias('strikethrough', 'crossedout');
defineColorAlias('strikethrough', 'strikeThrough');
defineColorAlias('strikethrough', 'crossedOut');
defineColorAlias('hidden', 'conceal');
defineColorAlias('inverse', 'swapColors');
defineColorAlias('inverse', 'swapcolors');
defineColorAlias('doubleunderline', 'doubleUnderline');

export const styles = ObjectAssign({ __proto__: null }, {
	special: 'cyan',
	number: 'yellow',
	bigint: 'yellow',
	boolean: 'yellow',
	undefined: 'grey',
	null: 'bold',
	string: 'green',
	symbol: 'green',
	date: 'magenta',
	// "name": intentionally not styling
	regexp: 'red',
	module: 'underline',
});

export function getUserOptions(ctx, isCrossContext) {
	const ret = {
		stylize: ctx.stylize,
		showHidden: ctx.showHidden,
		depth: ctx.depth,
		colors: ctx.colors,
		customInspect: ctx.customInspect,
		showProxy: ctx.showProxy,
		maxArrayLength: ctx.maxArrayLength,
		maxStringLength: ctx.maxStringLength,
		breakLength: ctx.breakLength,
		compact: ctx.compact,
		sorted: ctx.sorted,
		getters: ctx.getters,
		numericSeparator: ctx.numericSeparator,
		...ctx.userOptions,
	};

	// Typically, the target value will be an instance of `Object`. If that is
	// *not* the case, the object may come from another vm.Context, and we want
	// to avoid passing it objects from this Context in that case, so we remove
	// the prototype from the returned object itself + the `stylize()` function,
	// and remove all other non-primitives, including non-primitive user options.
	if (isCrossContext) {
		ObjectSetPrototypeOf(ret, null);
		const keys = ObjectKeys(ret);
		for (let i = 0; i < keys.length; i++) {
			const key = keys[i];
			if ((typeof ret[key] === 'object' || typeof ret[key] === 'function') &&
					ret[key] !== null) {
				delete ret[key];
			}
		}
		ret.stylize = ObjectSetPrototypeOf((value, flavour) => {
			let stylized;
			try {
				stylized = `${ctx.stylize(value, flavour)}`;
			} catch {
				// Continue regardless of error.
			}

			if (typeof stylized !== 'string') return value;
			// `stylized` is a string as it should be, which is safe to pass along.
			return stylized;
		}, null);
	}

	return ret;
}

export function stylizeWithColor(str, styleType) {
	const style = styles[styleType];
	if (style !== undefined) {
		const color = colors[style];
		if (color !== undefined)
			return `\u001b[${color[0]}m${str}\u001b[${color[1]}m`;
	}
	return str;
}

export function stylizeNoColor(str) {
	return str;
}
