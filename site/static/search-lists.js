/* The lists of a catalogue: from each word, symbol or function to the entries that have it, and what that is worth.

   What kb/search/card.py asks of one entry is asked here of all at once, so that the work of a query grows with what
   it touches and not with the catalogue. A worth is an array with a number for every entry. */
(function () {
  "use strict";
  const eqkb = (globalThis.eqkb = globalThis.eqkb || {});
  const { wordsOf, stem, root } = eqkb.words;

  // What an answer is worth, as in kb/search/card.py.
  const SURE = 15, NAME = 10, BEGINNING = 7, FUNCTION = 6, SYMBOL = 5, TEXT = 1, INSIDE = 0.5;
  const PART = 0.9; // of a worth, for the beginning of a word
  const CLASS = /^(?:loss|layer|cell|[1-3]d)+$/;
  const CACHED = 300;

  const append = (map, key, ...values) => (map.has(key) ? map.get(key).push(...values) : map.set(key, values));

  // --- the index -----------------------------------------------------------------------------------

  /** The lists of a catalogue; ``data`` is what generators/site/search_index.py writes. */
  function prepare(data) {
    const index = {
      count: data.entries.length,
      fillers: new Set(data.fillers.split(" ")),
      words: [], // all words that are written anywhere, those that count first
      stems: [], // of the same
      known: data.known, // how many count
      weights: new Map(), // stem -> entry, worth, ...
      said: new Map(), // a word of the text -> entries
      names: [], // of each entry: its names in stems
      squashed: [], // of each entry: its names without blanks
      wholes: new Map(), // a name without blanks -> entries
      symbols: new Map(), // key -> entry, likeness, ...
      named: new Map(), // the name of a symbol without underscores -> entries
      identifiers: new Map(), // number of a reference -> entry, share, ...
      functions: [],
      cache: new Map(), // what the pieces of the last queries were worth: of the next one most are the same
    };
    for (const written of data.words.split(" ")) {
      const [word, stemmed] = written.split("/");
      index.words.push(word);
      index.stems.push(stemmed || word);
    }
    index.data = data;
    index.entries = data.entries;
    data.entries.forEach((entry, number) => addEntry(index, entry, number));
    index.rank = new Map(index.words.slice(0, index.known).map((word, n) => [word, index.stems[n]]));
    return index;
  }

  function addEntry(index, entry, number) {
    for (const [worth, ...words] of entry.weights)
      for (const word of words) append(index.weights, index.stems[word], number, worth);
    for (const word of entry.said) append(index.said, index.words[word], number);
    const names = entry.names.split("|").map((name) => name.split(" ").filter(Boolean));
    const kept = names.map((name) => name.filter((word) => !index.fillers.has(word)));
    index.names.push(names);
    index.squashed.push([...new Set([...names, ...kept].map((name) => name.join("")))]);
    for (const name of index.squashed[number]) append(index.wholes, name, number);
    for (const [likeness, keys] of Object.entries(entry.symbols))
      for (const key of keys.split(" ")) append(index.symbols, key, number, Number(likeness));
    for (const name of entry.named.split(" ")) append(index.named, name, number);
    for (const [identifier, share] of Object.entries(entry.identifiers))
      append(index.identifiers, identifier, number, share);
    for (const written of entry.functions) {
      const [framework, path] = written.split(" ");
      const modules = [framework, ...path.split(".")].map((part) => part.toLowerCase());
      modules.pop();
      const leaf = wordsOf(path.split(".").pop()).join("");
      index.functions.push({ number, modules, leaf, path: path.toLowerCase() });
    }
  }

  /** What was worked out before under this key, else what ``make`` gives. */
  function cached(index, key, make) {
    if (!index.cache.has(key)) {
      if (index.cache.size >= CACHED) index.cache.clear();
      index.cache.set(key, make());
    }
    return index.cache.get(key);
  }

  /** A number for every entry from a list of entries and numbers. */
  function spread(index, pairs, factor = 1) {
    const worth = new Float64Array(index.count);
    for (let n = 0; pairs && n < pairs.length; n += 2) worth[pairs[n]] = Math.max(worth[pairs[n]], pairs[n + 1] * factor);
    return worth;
  }

  function raise(worth, other, factor = 1) {
    for (let n = 0; n < worth.length; n++) worth[n] = Math.max(worth[n], other[n] * factor);
    return worth;
  }

  // --- what a word is worth in every entry -----------------------------------------------------------

  function wordWorth(index, word) {
    const own = stem(word);
    const begun = new Float64Array(index.count);
    if (word.length > 1)
      for (const stemmed of beginnings(index, word, own)) raiseFrom(begun, index.weights.get(stemmed));
    const worth = spread(index, index.weights.get(own));
    const text = word.length > 2 ? textWorth(index, word, own) : null;
    for (let n = 0; n < index.count; n++) {
      if (worth[n] < BEGINNING && begun[n] === NAME) worth[n] = BEGINNING;
      else if (!worth[n] && text) worth[n] = begun[n] ? begun[n] * PART : text[n];
    }
    return worth;
  }

  function raiseFrom(worth, pairs) {
    for (let n = 0; pairs && n < pairs.length; n += 2) worth[pairs[n]] = Math.max(worth[pairs[n]], pairs[n + 1]);
  }

  /** The stems of the words that count and begin with it. */
  function beginnings(index, word, own) {
    const found = new Set();
    for (let n = 0; n < index.known; n++)
      if (index.words[n].startsWith(word) || index.stems[n].startsWith(own)) found.add(index.stems[n]);
    return found;
  }

  function textWorth(index, word, own) {
    const worth = new Float64Array(index.count);
    const beginning = root(own);
    const isFiller = index.fillers.has(word);
    for (let n = 0; n < index.words.length && !isFiller; n++) {
      const other = index.words[n];
      if (!other.startsWith(beginning)) continue;
      const isForm = other === word || index.stems[n] === own;
      const found = isForm ? TEXT : word.length > 3 && other.startsWith(word) ? TEXT * PART : 0;
      if (found) for (const number of index.said.get(other) || []) worth[number] = Math.max(worth[number], found);
    }
    if (word.length > 3)
      for (let n = 0; n < index.count; n++)
        if (!worth[n] && index.squashed[n].some((name) => name.includes(word))) worth[n] = INSIDE;
    return worth;
  }

  /** What the best of some stems, or of whole names without blanks, is worth. */
  function plainWorth(index, words) {
    const worth = new Float64Array(index.count);
    for (const word of words) {
      for (const number of index.said.get(word) || []) worth[number] = Math.max(worth[number], TEXT);
      raiseFrom(worth, index.weights.get(word));
      for (const number of index.wholes.get(word) || []) worth[number] = NAME;
    }
    return worth;
  }

  /** What it is worth that words of a name, written as one, are or begin like this. */
  function runWorth(index, squashed) {
    const worth = new Float64Array(index.count);
    if (squashed.length < 3) return worth;
    index.names.forEach((names, number) => {
      if (!index.squashed[number].some((name) => name.includes(squashed))) return;
      for (const name of names) for (let start = 0; start < name.length - 1; start++) {
        if (!name.slice(start).join("").startsWith(squashed)) continue;
        let end = 0;
        for (let n = start; n < name.length && end < squashed.length; n++) end += name[n].length;
        worth[number] = Math.max(worth[number], end === squashed.length ? NAME : BEGINNING);
      }
    });
    return worth;
  }

  function symbolWorth(index, { key, base }, sure) {
    const exact = spread(index, index.symbols.get(key));
    const near = key === base ? exact : spread(index, index.symbols.get(base), 0.6);
    return exact.map((likeness, n) => (likeness || near[n]) * (sure ? SURE : SYMBOL));
  }

  function functionWorth(index, modules, leaf) {
    const worth = new Float64Array(index.count);
    for (const own of index.functions) {
      const isClass = own.leaf.length > 3 && leaf.startsWith(own.leaf) && CLASS.test(leaf.slice(own.leaf.length));
      const likeness = leaf === own.leaf ? 1 : isClass || (leaf.length > 2 && own.leaf.startsWith(leaf)) ? PART : 0;
      const value = likeness * (isPart(modules, own.modules) ? FUNCTION : FUNCTION / 4);
      worth[own.number] = Math.max(worth[own.number], value);
    }
    if (modules.length)
      for (const number of index.wholes.get(leaf) || []) worth[number] = worth[number] || FUNCTION / 2;
    return worth;
  }

  /** Whether all of some modules are among a function's own, in that order. */
  function isPart(modules, own) {
    let at = -1;
    return modules.every((module) => (at = own.indexOf(module, at + 1)) >= 0);
  }

  /** All rows together; nothing where one has nothing. */
  function together(index, rows) {
    const total = new Float64Array(index.count);
    for (let n = 0; n < index.count && rows.length; n++)
      total[n] = rows.every((row) => row[n]) ? rows.reduce((sum, row) => sum + row[n], 0) : 0;
    return total;
  }

  eqkb.lists = {
    prepare, cached, raise, raiseFrom, together,
    wordWorth, plainWorth, runWorth, symbolWorth, functionWorth, SYMBOL, FUNCTION, TEXT,
  };
})();
