// Imported before the evaluator, wherever it is asked (node --import).
//
// The evaluator compares strings by localeCompare with options, for which V8
// makes a collator each time. One kept for the options does the same.
const collators = new WeakMap();
const { localeCompare } = String.prototype;
String.prototype.localeCompare = function (other, locales, options) {
  if (locales !== undefined || !options) return localeCompare.call(this, other, locales, options);
  if (!collators.has(options)) collators.set(options, new Intl.Collator(undefined, options));
  return collators.get(options).compare(this, other);
};
