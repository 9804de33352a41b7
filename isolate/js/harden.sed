# What esbuild adds to the library runs when Node's own files load each other late, after a
# tenant may have replaced what it uses: Array's iterator, and properties that descriptors inherit.
s|^  var __toCommonJS = .*|  var __toCommonJS = (mod) => { const to = __defProp({}, "__esModule", { __proto__: null, value: true }); const names = __getOwnPropNames(mod); for (let i = 0; i < names.length; i++) if (names[i] !== "__esModule") { const key = names[i]; __defProp(to, key, { __proto__: null, get: () => mod[key], enumerable: true }); } return to; };|
s|__defProp(\(target[0-9]*\), name, { get: |__defProp(\1, name, { __proto__: null, get: |
s|__defProp(target2, "default", { value: mod|__defProp(target2, "default", { __proto__: null, value: mod|
