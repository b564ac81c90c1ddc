/* Words and symbols in the one form in which a search compares them.

   The rules are those of kb/search/words.py, where each is explained; the index brings the stems of the
   catalogue's own words, so that these run over queries only. tests/test_site_search.py compares both. */
(function () {
  "use strict";
  const eqkb = (globalThis.eqkb = globalThis.eqkb || {});

  const WORD = /[\p{L}\p{N}]+/gu;
  const CAMEL = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])/g;
  const COMBINING = /[\u0300-\u036f]/g;
  const ACCENTS = { "\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0303": "tilde", "\u0307": "dot" };
  const TEX_ACCENTS = {
    hat: "hat", widehat: "hat", bar: "bar", overline: "bar", tilde: "tilde", widetilde: "tilde", dot: "dot",
  };
  const TEX_ACCENTED =
    /\\(hat|widehat|bar|overline|tilde|widetilde|dot)\s*(?:\{\s*(\\[A-Za-z]+|[^\\{}])\s*\}|(\\[A-Za-z]+|[\p{L}\p{N}_]))/gu;
  const TEX_STYLES = /^(?:math[a-z]+|boldsymbol|bm|text[a-z]*|operatorname|left|right)$/;
  const SHORT = { eps: "epsilon", lam: "lambda", lamda: "lambda" };
  const MARKS = ["hat", "bar", "tilde", "dot"];
  const PLURALS = [["sses", "ss"], ["xes", "x"], ["ches", "ch"], ["shes", "sh"], ["ies", "y"], ["ss", "ss"], ["s", ""]];
  const BRITISH = [["our", "or"], ["tre", "ter"], ["ogue", "og"], ["ional", "ion"]];
  const VERB_TAILS = ["ational", "ation", "ing", "ed", "er", "e"];

  const GREEK = {};
  "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega"
    .split(" ")
    .forEach((name, n) => {
      const letter = String.fromCharCode(0x3b1 + n);
      GREEK[letter] = name;
      if (letter !== "ς") GREEK[letter.toUpperCase()] = name[0].toUpperCase() + name.slice(1);
    });
  const LETTERS = new Set(Object.values(GREEK));
  GREEK["∇"] = "nabla";

  const STEMS = 5000; // are kept, since what is shown asks for the same ones again and again
  const stems = new Map();

  const isAscii = (text) => /^[\x00-\x7f]*$/.test(text);
  const isAlphabetic = (text) => /^\p{L}+$/u.test(text);
  const namedGreek = (text) => text.replace(/[\u0391-\u03c9∇]/g, (c) => GREEK[c] || c);

  /** Small letters, Greek ones by name, no accents. */
  function fold(text) {
    text = text.replaceAll("\\var", "\\");
    if (isAscii(text)) return text.toLowerCase();
    return namedGreek(text.normalize("NFKD")).replace(COMBINING, "").toLowerCase().replaceAll("ß", "ss");
  }

  const wordsOf = (text) => fold(text).match(WORD) || [];
  const camelWords = (text) => wordsOf(text.replace(CAMEL, " "));

  /** What blanks separate; those of ``\hat y`` do not. */
  function parted(text) {
    text = text.replace(TEX_ACCENTED, (_, accent, braced, bare) => `\\${accent}{${braced || bare}}`);
    return text.split(/\s+/).filter(Boolean);
  }

  function replaced(word, endings) {
    for (const [ending, instead] of endings)
      if (word.endsWith(ending))
        return word.length > ending.length + 1 ? word.slice(0, -ending.length) + instead : word;
    return word;
  }

  /** What the forms of a word have in common: number, -ise or -ize, -our or -or, -ing and -ed. */
  function stem(word) {
    if (!stems.has(word)) {
      if (stems.size >= STEMS) stems.clear();
      stems.set(word, stemOf(word));
    }
    return stems.get(word);
  }

  function stemOf(word) {
    if (word.length < 4 || !isAlphabetic(word)) return word;
    if (!/(?:us|is)$/.test(word)) word = replaced(word, PLURALS);
    for (const tail of VERB_TAILS) {
      const verb = word.slice(0, -tail.length);
      if (word.endsWith(tail) && verb.length > 4 && /[iy][sz]$/.test(verb)) return verb.slice(0, -1) + "z";
    }
    for (const tail of ["ing", "ed"]) {
      const verb = word.slice(0, -tail.length);
      if (word.endsWith(tail) && verb.length > 3) {
        const [before, last] = verb.slice(-2);
        word = before === last && last !== "s" ? verb.slice(0, -1) : verb;
        break;
      }
    }
    word = replaced(word, BRITISH);
    return word.length > 4 && word.endsWith("e") ? word.slice(0, -1) : word;
  }

  /** What every word of that stem begins with: its last letters may differ. */
  const root = (stemmed) => (stemmed.length > 4 ? stemmed.slice(0, -2) : stemmed.slice(0, 3));

  // --- symbols -------------------------------------------------------------------------------------

  const isLetter = (word) => word.length === 1 || LETTERS.has(word);

  function letterOf(word) {
    const plain = word.startsWith("var") ? word.slice(3) : word;
    return SHORT[word] || (LETTERS.has(plain) ? plain : word);
  }

  /** Whether the text can only mean a symbol: TeX, a Greek letter, an accent on one letter, a small digit. */
  function isSymbolic(text) {
    if (/^[\\$]/.test(text)) return true;
    if (isAscii(text)) return false;
    const bare = [...text.normalize("NFD").replace(/\p{M}/gu, "")];
    return bare.length === 1 || bare.some((c) => c in GREEK || /[\u2080-\u209c\u1d62-\u1d6a\u2c7c]/.test(c));
  }

  /** How a symbol is compared: whole, without subscripts, and its letter alone. */
  function symbolKey(text) {
    text = text.replaceAll("$", "").replace(TEX_ACCENTED, (_, accent, braced, bare) => `${braced || bare}_${TEX_ACCENTS[accent]}_`);
    text = text.replace(/\\([A-Za-z]+)/g, (_, word) => (TEX_STYLES.test(word) ? "" : `_${word}_`));
    if (!isAscii(text)) {
      const letters = [...text.replaceAll("ℓ", "ell").normalize("NFKD")];
      text = letters.map((c) => (ACCENTS[c] ? `_${ACCENTS[c]}_` : GREEK[c] || c)).join("");
    }
    const parts = (text.replace(/(?<=\p{L})(?=\p{Nd})/gu, "_").match(WORD) || []).map(letterOf);
    if (!parts.length) return { key: "", base: "", letter: "" };
    const accented = /^(.+?)(hat|bar|tilde)$/.exec(parts[0]);
    if (accented && isLetter(letterOf(accented[1]))) parts.splice(0, 1, letterOf(accented[1]), accented[2]);
    const [letter, ...others] = parts;
    const base = letter + others.filter((part) => MARKS.includes(part)).join("");
    return { key: base + others.filter((part) => !MARKS.includes(part)).join(""), base, letter };
  }

  // --- fragments of formulas -----------------------------------------------------------------------

  const MARK = /[\^=/()[\]+*<>|√∑Σ∏∂∫∇·−]|\\(?:[dt]?frac|sqrt|sum|prod|int|partial|nabla|log|ln|exp|max|min|operatorname|math[a-z]+|top|odot|cdot|lVert|left)/;
  const FUNCTIONS = "exp|log|ln|max|min|tanh|sinh|cosh|sin|cos|sqrt|sum|det|erf";
  const BARE_FUNCTION = new RegExp(`(?<![A-Za-z\\\\])(${FUNCTIONS})(?![A-Za-z])`, "g");
  const LAYOUT =
    /\\(?:left|right|[bB]igg?|displaystyle|q?quad|cdot|operatorname\*?|math[a-z]+|boldsymbol|bm|text[a-z]*|begin\{\w+\*?\}|end\{\w+\*?\})(?![A-Za-z])/g;

  /** Whether a query has marks that stand in formulas and not in words or single symbols. */
  const isFragment = (text) => MARK.test(text);

  /** A piece of a formula without what people write in different ways: blanks, braces, styles of letters. */
  function fragment(text) {
    return text
      .replace(LAYOUT, " ")
      .replace(BARE_FUNCTION, "\\$1")
      .replace(/\\[dt]frac(?![A-Za-z])/g, "\\frac")
      .replace(/\\var(?=[a-z])/g, "\\")
      .replace(/\\(?:top|intercal|transpose)(?![A-Za-z])/g, "T")
      .replaceAll("ᵀ", "^T")
      .replaceAll("∇", "\\nabla")
      .replace(/\\[lr]?Vert|\\\|/g, "‖")
      .replace(/\\[,;:! ]|\\\\|[\s{}$&·*]/g, "")
      .replaceAll("−", "-");
  }

  /** The same with all letters alike: others may have x where the catalogue has z. */
  function shape(fragment) {
    return fragment.replace(/\\([A-Za-z]+)|\p{L}/gu, (found, command, at) => {
      if (command) return LETTERS.has(command) ? "x" : found;
      return found === "e" && fragment[at + 1] === "^" ? found : "x";
    });
  }

  // --- typing errors -------------------------------------------------------------------------------

  /** How many letters may be wrong in a word, missing, superfluous, or swapped with the next. */
  const errorsAllowed = (word) => (word.length < 3 || !isAlphabetic(word) ? 0 : word.length < 6 ? 1 : 2);

  /** Insertions, deletions, changes and swaps of neighbours from one word to the other, or ``limit + 1``.
      If the word is still being ``open``, to that beginning of the other which is nearest. */
  function distance(word, other, limit, open = false) {
    if (open) other = other.slice(0, word.length + limit);
    else if (Math.abs(word.length - other.length) > limit) return limit + 1;
    let older = [];
    let before = [];
    let row = Array.from({ length: other.length + 1 }, (_, j) => j);
    for (let i = 1; i <= word.length; i++) {
      [older, before, row] = [before, row, [i]];
      let least = i;
      for (let j = 1; j <= other.length; j++) {
        let best = before[j - 1];
        if (word[i - 1] !== other[j - 1]) best = 1 + Math.min(best, before[j], row[j - 1]);
        if (i > 1 && j > 1 && word[i - 1] === other[j - 2] && word[i - 2] === other[j - 1])
          best = Math.min(best, older[j - 2] + 1);
        row.push(best);
        if (best < least) least = best;
      }
      if (least > limit) return limit + 1;
    }
    return Math.min(open ? Math.min(...row) : row[other.length], limit + 1);
  }

  // --- what is shown of it ---------------------------------------------------------------------------

  /** A text in parts, ``[[part, whether it matches], ...]``: where its words begin like one of the terms. */
  function marked(text, terms) {
    const words = [...text.matchAll(WORD)].map((found) => ({ at: found.index, text: found[0], plain: fold(found[0]) }));
    const ends = words.map((_, n) => Math.max(0, ...terms.map((term) => reach(words, n, term))));
    const parts = [];
    let done = 0;
    words.forEach((word, n) => {
      if (!ends[n] || word.at + 1 <= done) return;
      parts.push([text.slice(done, word.at), false], [text.slice(word.at, ends[n]), true]);
      done = ends[n];
    });
    parts.push([text.slice(done), false]);
    return parts.filter(([part]) => part);
  }

  /** Where in the text a term ends that begins with a word, or with several written as one; 0 if it does not. */
  function reach(words, n, term) {
    const { at, text, plain } = words[n];
    const end = at + text.length;
    if (term.length < 2) return plain === term ? end : 0;
    if (plain.startsWith(term)) return plain.length === text.length ? at + term.length : end;
    if (stem(plain) === stem(term)) return end;
    return term.startsWith(plain) && n + 1 < words.length ? reach(words, n + 1, term.slice(plain.length)) : 0;
  }

  eqkb.words = {
    fold, wordsOf, camelWords, parted, stem, root, isLetter, isSymbolic, symbolKey, isAlphabetic,
    isFragment, fragment, shape, errorsAllowed, distance, marked,
  };
})();
