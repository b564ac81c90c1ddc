/* Entries by words, ranked as ``eqkb search`` ranks them (kb/search says why), within a page and without a server.

   What Python asks of every entry is here asked of lists: from each word, symbol or function to the entries that
   have it. So the work of a query grows with what it touches and not with the catalogue.
   Beyond Python's search this one finds fragments of formulas, and beginnings while a word is being typed. */
(function () {
  "use strict";
  const eqkb = (globalThis.eqkb = globalThis.eqkb || {});
  const {
    wordsOf, camelWords, parted, stem, root, isLetter, isSymbolic, symbolKey, isAlphabetic,
    isFragment, fragment, shape, errorsAllowed, distance,
  } = eqkb.words;

  // What an answer is worth, as in kb/search/card.py.
  const WHOLE = 100, SURE = 15, NAME = 10, BEGINNING = 7, FUNCTION = 6, SYMBOL = 5, TEXT = 1, INSIDE = 0.5;
  const MISSPELT = 0.09, PART = 0.9, CODE = 2.5;
  // A fragment of a formula: more than a beginning of a name, less than a symbol that is sure.
  const FORMULA = 8, SAME_SHAPE = 4, LEAST_SHAPE = 5;
  const CLASS = /^(?:loss|layer|cell|[1-3]d)+$/;
  const IMPORTS = { F: "torch.nn.functional", tf: "tensorflow", np: "numpy", jnp: "jax.numpy", pytorch: "torch" };

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

  /** What a stem, or a whole name without blanks, is worth. */
  function plainWorth(index, word) {
    const worth = new Float64Array(index.count);
    for (const number of index.said.get(word) || []) worth[number] = TEXT;
    const weights = index.weights.get(word) || [];
    for (let n = 0; n < weights.length; n += 2) worth[weights[n]] = weights[n + 1];
    for (const number of index.wholes.get(word) || []) worth[number] = NAME;
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

  // --- a query ---------------------------------------------------------------------------------------

  /** What stands between two blanks of a query, in every way in which it may be meant. */
  function pieceOf(text) {
    const symbol = symbolKey(text);
    const symbolic = isSymbolic(text);
    let words = wordsOf(text);
    if (symbolic && (words.join("").length < 2 || (/^[\\$]/.test(text) && words.length > 1))) words = [];
    const path = text.replace(/^\.+|\.+$/g, "").split(".");
    const leaf = path.pop();
    const camel = camelWords(leaf);
    const isCode = path.length > 0 || camel.join(" ") !== words.join(" ");
    return {
      text, symbol, symbolic, words, isCode,
      isWord: !symbolic && isAlphabetic(text) && symbol.base === symbol.letter && !isLetter(symbol.letter),
      stems: words.map(stem),
      squashed: words.map(stem).join(""),
      camel: isCode ? camel : [],
      modules: path.flatMap((name) => (IMPORTS[name] || name).toLowerCase().split(".")),
      leaf: wordsOf(leaf).join(""),
      identifier: text.toLowerCase().replace(/^arxiv:/, "").replace(/^https:\/\//, "").replace(/^doi\.org\//, ""),
      near: null, // of a misspelt piece, for each word those that it may be
      worth: null, // what the piece is worth in every entry as it is written
      nearly: null, // and as it may have been meant
    };
  }

  function piecesOf(index, text) {
    const written = parted(text);
    const kept = written.filter((part) => !index.fillers.has(part.replace(/^[.,;]+|[.,;]+$/g, "").toLowerCase()));
    return (kept.length ? kept : written).map(pieceOf).filter((piece) => piece.words.length || piece.symbol.key);
  }

  /** How well every entry answers a piece; 0 where it does not. */
  function worthOf(index, piece) {
    if (piece.near) return (piece.nearly = piece.nearly || nearWorth(index, piece));
    return (piece.worth = piece.worth || cached(index, `piece ${piece.text}`, () => meantWorth(index, piece)));
  }

  function nearWorth(index, piece) {
    const rows = piece.near.map((others) => {
      const row = new Float64Array(index.count);
      for (const other of others) raise(row, plainWorth(index, other));
      return row;
    });
    return together(index, rows).map((worth) => worth * MISSPELT);
  }

  function meantWorth(index, piece) {
    const { symbol, words, camel, modules, leaf } = piece;
    let worth = new Float64Array(index.count);
    if (piece.isWord) for (const number of index.named.get(symbol.key) || []) worth[number] = SYMBOL;
    else if (!modules.length || leaf.length < 2) worth = symbolWorth(index, symbol, piece.symbolic);
    if (piece.isCode) {
      raise(worth, functionWorth(index, modules, leaf), CODE * camel.length);
      if (camel.length > 1 || !modules.length) raise(worth, together(index, camel.map((word) => wordWorth(index, word))));
    } else if (leaf) raise(worth, functionWorth(index, [], leaf), words.length);
    raise(worth, together(index, words.map((word) => wordWorth(index, word))));
    raise(worth, runWorth(index, piece.squashed), words.length);
    const cited = index.identifiers.get(piece.identifier) || [];
    for (let n = 0; n < cited.length; n += 2) worth[cited[n]] = WHOLE * cited[n + 1];
    return worth;
  }

  /** The entries that answer every piece, the best first, without weak answers where there are good ones. */
  function answers(index, pieces) {
    const rows = [];
    for (const piece of pieces) {
      rows.push(worthOf(index, piece));
      if (!rows[rows.length - 1].some(Boolean)) return [];
    }
    const whole = new Set(index.wholes.get(pieces.map((piece) => piece.squashed).join("")));
    const wanted = new Set(pieces.flatMap((piece) => (piece.near ? piece.near.flatMap((near) => [...near]) : piece.stems)));
    const ranked = [];
    for (let number = 0; number < index.count; number++) {
      if (!rows.every((row) => row[number])) continue;
      const score = rows.reduce((sum, row) => sum + row[number], 0) + (whole.has(number) ? WHOLE : 0);
      const weakest = Math.min(...rows.map((row) => row[number]));
      ranked.push({ number, score, weakest, likeness: likeness(index.names[number], wanted) });
    }
    ranked.sort(better);
    const least = [TEXT, 2 * MISSPELT * TEXT].find((enough) => ranked.some((item) => item.weakest >= enough)) || 0;
    return ranked.filter((item) => item.weakest >= least);
  }

  const better = (a, b) => b.score - a.score || b.likeness - a.likeness || a.number - b.number;

  /** How much of one of the names is wanted: 1 where it is nothing but these words. */
  function likeness(names, wanted) {
    return Math.max(...names.map((name) => name.filter((word) => wanted.has(word)).length / (name.length || 1)));
  }

  /** What ``eqkb search`` finds, and the pieces of the query as they are meant. */
  function asMeant(index, pieces) {
    let found = answers(index, pieces);
    let meant = pieces;
    for (let n = 0; n + 1 < pieces.length; n++) { // a blank too many
      const text = pieces[n].text + pieces[n + 1].text;
      if (found.length && !index.rank.has(text.toLowerCase())) continue;
      const joined = [...pieces.slice(0, n), pieceOf(text), ...pieces.slice(n + 2)];
      const better = answers(index, joined);
      if (better.length && (!found.length || better[0].score > found[0].score)) [found, meant] = [better, joined];
    }
    return { found, pieces: meant };
  }

  // --- typing errors ---------------------------------------------------------------------------------

  /** The same, where words may be misspelt: those that stand nowhere, or several that do not stand together. */
  function asMisspelt(index, pieces, open) {
    for (const piece of pieces) piece.near = null;
    const lost = pieces.filter((piece) => !worthOf(index, piece).some(Boolean));
    for (const misspelt of [lost, pieces])
      for (const wide of [false, true]) {
        misspelt.forEach((piece) => forgive(index, piece, wide, open && piece === pieces[pieces.length - 1]));
        const found = misspelt.length ? answers(index, pieces) : [];
        if (found.length) return { found, pieces };
      }
    return { found: [], pieces };
  }

  /** For every word of a piece the words of the catalogue that are nearest to it. */
  function forgive(index, piece, wide, open) {
    const words = (piece.camel.length ? piece.camel : piece.words).filter((word) => !index.fillers.has(word));
    piece.nearly = null;
    piece.near = words.map((word) => nearest(index, word, "names", open));
    if (wide || piece.near.some((near) => !near.size))
      piece.near = words.map((word, n) => (piece.near[n].size && !wide ? piece.near[n] : nearest(index, word, "said", open)));
    if (!words.length) piece.near = null;
  }

  /** The words that count and all words, by length: what is written, what it is kept as, and its letters. */
  function vocabulary(index) {
    if (!index.vocabulary) {
      const names = new Map([...index.wholes.keys()].map((name) => [name, name]));
      index.rank.forEach((stemmed, word) => names.set(word, stemmed));
      const said = new Map(names);
      for (const word of index.said.keys()) said.set(word, word);
      index.vocabulary = { names: byLength(names), said: byLength(said) };
    }
    return index.vocabulary;
  }

  function byLength(words) {
    const lists = [];
    words.forEach((kept, word) => (lists[word.length] = lists[word.length] || []).push({ word, kept, letters: lettersOf(word) }));
    return lists;
  }

  /** The letters of a word as bits: far apart ones need no exact comparison. */
  function lettersOf(word) {
    let bits = 0;
    for (let n = 0; n < word.length; n++) bits |= 1 << (word.charCodeAt(n) & 31);
    return bits;
  }

  function bitCount(bits) {
    let count = 0;
    for (; bits; bits &= bits - 1) count++;
    return count;
  }

  function nearest(index, word, kind, open) {
    return cached(index, `${kind} ${open} ${word}`, () => nearestOf(word, vocabulary(index)[kind], open));
  }

  function nearestOf(word, lists, open) {
    let limit = errorsAllowed(word);
    const letters = lettersOf(word);
    let found = [];
    const longest = open ? lists.length - 1 : word.length + limit;
    for (let length = Math.max(0, word.length - limit); length <= longest; length++)
      for (const other of lists[length] || []) {
        const apart = open ? letters & ~other.letters : letters ^ other.letters;
        if (bitCount(apart) > 2 * limit || (open && other.word[0] !== word[0])) continue;
        const errors = distance(word, other.word, limit, open);
        if (errors > limit) continue;
        if (errors < limit) found = found.filter((item) => item.errors <= errors);
        limit = errors;
        found.push({ errors, kept: other.kept });
      }
    return new Set(found.filter((item) => item.errors === limit).map((item) => item.kept));
  }

  // --- what only the page does -----------------------------------------------------------------------

  /** Where the last piece is the beginning of a function's path or of the number of a reference. */
  function asBegun(index, pieces) {
    const last = pieces[pieces.length - 1];
    const begun = { ...last, worth: new Float64Array(index.count) };
    const modules = last.modules.length ? `${last.modules.join(".")}.` : "";
    const path = modules + last.text.split(".").pop().toLowerCase();
    for (const own of index.functions)
      if (last.modules.length && `.${own.path}`.includes(`.${path}`)) begun.worth[own.number] = FUNCTION;
    index.identifiers.forEach((cited, identifier) => {
      if (last.identifier.length > 3 && identifier.startsWith(last.identifier)) raiseFrom(begun.worth, cited.map((n, at) => (at % 2 ? n * FUNCTION : n)));
    });
    const all = [...pieces.slice(0, -1), begun];
    return { found: begun.worth.some(Boolean) ? answers(index, all) : [], pieces: all };
  }

  /** Entries in whose formula a fragment of TeX or plain text stands, else those where it does with other letters. */
  function inFormulas(index, text) {
    const wanted = fragment(text);
    if (!isFragment(text) || wanted.length < 2) return [];
    index.formulas = index.formulas || index.entries.map((entry) => entry.formulas.map(fragment));
    const exact = holding(index.formulas, wanted, FORMULA);
    if (exact.length || wanted.length < LEAST_SHAPE) return exact;
    index.shapes = index.shapes || index.formulas.map((formulas) => formulas.map(shape));
    return holding(index.shapes, shape(wanted), SAME_SHAPE);
  }

  /** The shortest formula first, of which the fragment is most. */
  function holding(formulas, wanted, worth) {
    const found = [];
    formulas.forEach((all, number) => {
      const share = Math.max(0, ...all.filter((one) => one.includes(wanted)).map((one) => wanted.length / one.length));
      if (share) found.push({ number, score: worth + share, likeness: 0 });
    });
    return found.sort(better);
  }

  /** Every entry with the better of its two answers. */
  function merged(found, formulas) {
    const best = new Map(formulas.map((item) => [item.number, item]));
    for (const item of found) if (!best.has(item.number) || best.get(item.number).score < item.score) best.set(item.number, item);
    return [...best.values()].sort(better);
  }

  /** The entries that a query finds, the best first, as ``{hits: [{entry, score}], terms}``; ``terms`` are the words
      to be marked in names. While the query is being typed, its last word may be a beginning, misspelt or not. */
  function search(index, text, { typing = false } = {}) {
    const pieces = piecesOf(index, text);
    let result = pieces.length ? asMeant(index, pieces) : { found: [], pieces };
    const formulas = inFormulas(index, text);
    const attempts = [() => asMisspelt(index, pieces, false)];
    if (typing) attempts.unshift(() => asBegun(index, pieces));
    if (typing) attempts.push(() => asMisspelt(index, pieces, true));
    for (const attempt of attempts) if (pieces.length && !result.found.length && !formulas.length) result = attempt();
    const found = formulas.length ? merged(result.found, formulas) : result.found;
    return {
      hits: found.map(({ number, score }) => ({ entry: index.entries[number], score })),
      terms: [...new Set(result.pieces.flatMap((p) => (p.near ? p.near.flatMap((near) => [...near]) : [...p.words, ...p.camel])))],
    };
  }

  /** Entries that answer most of several words, for somebody whose search found nothing. */
  function partly(index, text, count = 3) {
    const rows = piecesOf(index, text).map((piece) => worthOf(index, piece));
    const ranked = index.entries.map((entry, n) => {
      const worth = rows.map((row) => row[n]);
      return { entry, many: worth.filter(Boolean).length, sum: worth.reduce((a, b) => a + b, 0) };
    });
    ranked.sort((a, b) => b.many - a.many || b.sum - a.sum);
    return ranked.filter((row) => row.many).slice(0, count).map((row) => row.entry);
  }

  eqkb.engine = { prepare, search, partly };
})();
