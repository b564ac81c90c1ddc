/* Entries by words, ranked as ``eqkb search`` ranks them (kb/search says why), within a page and without a server.

   Beyond Python's search this one finds fragments of formulas, and beginnings while a word is being typed. */
(function () {
  "use strict";
  const eqkb = (globalThis.eqkb = globalThis.eqkb || {});
  const {
    wordsOf, camelWords, parted, stem, isLetter, isSymbolic, symbolKey, isAlphabetic,
    isFragment, fragment, shape, errorsAllowed, distance,
  } = eqkb.words;
  const {
    prepare, cached, raise, raiseFrom, together,
    wordWorth, plainWorth, runWorth, symbolWorth, functionWorth, SYMBOL, FUNCTION, TEXT,
  } = eqkb.lists;

  // What an answer is worth, as in kb/search.
  const WHOLE = 100, MISSPELT = 0.09, CODE = 2.5;
  // A fragment of a formula: more than a beginning of a name, and the more the longer it is.
  const FORMULA = 8, SAME_SHAPE = 4, SAME_PARTS = 2, LEAST_SHAPE = 5, LEAST_SHARE = 0.5;
  const LEAST_OPEN = 4;
  const IMPORTS = { F: "torch.nn.functional", tf: "tensorflow", np: "numpy", jnp: "jax.numpy", pytorch: "torch" };

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
    return together(index, piece.near.map((others) => plainWorth(index, others))).map((worth) => worth * MISSPELT);
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
  function asMeant(index, pieces, typing) {
    let found = answers(index, pieces);
    let meant = pieces;
    for (let n = 0; n + 1 < pieces.length; n++) { // a blank too many
      const text = pieces[n].text + pieces[n + 1].text;
      const isKnown = index.rank.has(text.toLowerCase()) || (typing && n + 2 === pieces.length && begins(index, text.toLowerCase()));
      if (found.length && !isKnown) continue;
      const joined = [...pieces.slice(0, n), pieceOf(text), ...pieces.slice(n + 2)];
      const better = answers(index, joined);
      if (better.length && (!found.length || better[0].score > found[0].score)) [found, meant] = [better, joined];
    }
    return { found, pieces: meant };
  }

  /** Whether a word that counts begins like this. */
  const begins = (index, text) => index.words.some((word, n) => n < index.known && word.startsWith(text));

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
    open = open && word.length >= LEAST_OPEN; // fewer letters begin too many words
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
    const written = last.text.toLowerCase();
    const imported = last.text.replace(/^\w+/, (name) => IMPORTS[name] || name).toLowerCase();
    for (const own of index.functions)
      if (/\w\./.test(written) && [written, imported].some((path) => `.${own.path}`.includes(`.${path}`)))
        begun.worth[own.number] = FUNCTION;
    index.identifiers.forEach((cited, identifier) => {
      if (last.identifier.length > 3 && identifier.startsWith(last.identifier)) raiseFrom(begun.worth, cited.map((n, at) => (at % 2 ? n * FUNCTION : n)));
    });
    const all = [...pieces.slice(0, -1), begun];
    return { found: begun.worth.some(Boolean) ? answers(index, all) : [], pieces: all };
  }

  /** Entries in whose formula a fragment of TeX or plain text stands, else those where it does with other letters. */
  function inFormulas(index, text) {
    const wanted = fragment(text);
    if (!isFragment(text) || (wanted.length < 2 && !/[∑√∏∂∫]/.test(wanted))) return [];
    index.formulas = index.formulas || index.entries.map((entry) => entry.formulas.map(fragment));
    const exact = holding(index.formulas, wanted, FORMULA + wanted.length / 2);
    if (exact.length || wanted.length < LEAST_SHAPE) return exact;
    index.shapes = index.shapes || index.formulas.map((formulas) => formulas.map(shape));
    return holding(index.shapes, shape(wanted), SAME_SHAPE + wanted.length / 3);
  }

  /** Entries whose formulas have most of a fragment in parts: three signs here, three there. */
  function inParts(index, text) {
    const wanted = fragment(text);
    if (!isFragment(text) || wanted.length < LEAST_SHAPE) return [];
    const parts = new Set(Array.from({ length: wanted.length - 2 }, (_, n) => wanted.slice(n, n + 3)));
    const found = index.formulas.map((formulas, number) => {
      const all = formulas.join("\n");
      return { number, score: ([...parts].filter((part) => all.includes(part)).length / parts.size) * SAME_PARTS, likeness: 0 };
    });
    return found.filter((item) => item.score >= LEAST_SHARE * SAME_PARTS).sort(better);
  }

  /** The shortest formula first, of which the fragment is most. */
  function holding(formulas, wanted, worth) {
    const found = [];
    formulas.forEach((all, number) => {
      const shares = all.map((one) => (one.includes(wanted) ? wanted.length / one.length : 0));
      const share = Math.max(0, ...shares);
      if (share) found.push({ number, score: worth + share, likeness: 0, formula: shares.indexOf(share) });
    });
    return found.sort(better);
  }

  /** Every entry with the better of its two answers. */
  function merged(found, formulas) {
    const best = new Map(formulas.map((item) => [item.number, item]));
    for (const item of found) {
      const other = best.get(item.number);
      if (!other || other.score < item.score) best.set(item.number, { ...item, formula: other && other.formula });
    }
    return [...best.values()].sort(better);
  }

  /** With the braces of TeX closed that are still open. */
  function closed(text) {
    const open = text.split("{").length - text.split("}").length;
    return text.includes("\\") && open > 0 ? text + "}".repeat(open) : text;
  }

  /** The entries that a query finds, the best first, as ``{hits: [{entry, score, formula}], terms}``: ``formula``
      is the position of one that has the fragment, ``terms`` are the words to be marked in names. While the query is being typed, its last word may be a beginning, misspelt or not. */
  function search(index, text, { typing = false } = {}) {
    if (typing) text = closed(text);
    const pieces = piecesOf(index, text);
    let result = pieces.length ? asMeant(index, pieces, typing) : { found: [], pieces };
    const begun = typing && pieces.length ? asBegun(index, pieces) : result;
    if (begun.found.length && !(result.found.length && result.found[0].score >= begun.found[0].score)) result = begun;
    let formulas = inFormulas(index, text);
    for (const open of typing ? [false, true] : [false])
      if (pieces.length && !result.found.length && !formulas.length) result = asMisspelt(index, pieces, open);
    if (!result.found.length && !formulas.length) formulas = inParts(index, text);
    const found = formulas.length ? merged(result.found, formulas) : result.found;
    return {
      hits: found.map(({ number, score, formula }) => ({ entry: index.entries[number], score, formula })),
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
