"""Words for gender, yes and no, in the languages of the people who fill in spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from altegio_provider.imports.model import normalized_text

__all__ = ["BOOLEANS", "GENDERS", "GENDER_LETTERS", "meaning_of_gender_letters"]


def _table(**words: str) -> dict[str, str]:
    return {normalized_text(word): meaning for meaning, text in words.items() for word in text.split(",")}


_GENDERS = _table(
    unknown=(
        "0, unknown, not known, not specified, unspecified, other, diverse, non-binary, n/a, d, divers, x, unbekannt, "
        "keine angabe, неизвестно, неизвестен, не указан, не указано, другой, невідомо, не вказано, nezināms, "
        "nenorādīts, nežinoma, teadmata, desconocido, otro, inconnu, autre, sconosciuto, altro, desconhecido, outro, "
        "nieznana, inna, bilinmiyor, diğer"
    ),
    male=(
        "1, male, man, mr, mr., männlich, maennlich, mann, herr, м, ч, муж, муж., мужской, мужчина, чол, чоловік, "
        "чоловіча, vīrietis, vyras, mees, masculino, hombre, varón, masculin, homme, maschio, uomo, homem, "
        "mężczyzna, erkek, ер"
    ),
    female=(
        "2, female, woman, ms, ms., mrs, mrs., miss, weiblich, frau, ж, жен, жен., женский, женщина, жін, жінка, "
        "жіноча, sieviete, moteris, naine, femenino, mujer, féminin, feminin, femme, femmina, donna, feminino, "
        "mulher, kobieta, kadın, әйел"
    ),
)
_BOOLEANS = _table(
    yes=(
        "1, true, t, yes, y, on, ok, x, +, ✓, ✔, ja, j, wahr, да, д, истина, так, т, jā, taip, oui, vrai, sí, si, sim, "
        "tak, evet, иә"
    ),
    no=("0, false, f, no, n, off, -, nein, falsch, нет, н, ложь, ні, nē, ne, ei, non, faux, não, nao, nie, hayır, жоқ"),
)

#: Folded word to the API's number: 0 unknown, 1 male, 2 female.
GENDERS = {word: ("unknown", "male", "female").index(meaning) for word, meaning in _GENDERS.items()}
#: Folded word to what it means.
BOOLEANS = {word: meaning == "yes" for word, meaning in _BOOLEANS.items()}

#: Letters of men and women, by language. M is a man in English, and a woman in Spanish (H, M) and Lithuanian (V, M).
_LETTER_PAIRS = ("mf", "mw", "mk", "mž", "mz", "mn", "mv", "hf", "hm", "vm", "vs", "ek", "bf", "fn")
#: Of pairs that change what a letter means in all other languages; they count only where both letters are there.
_ONLY_AS_A_PAIR = ("fn",)
GENDER_LETTERS = frozenset("".join(_LETTER_PAIRS))


def meaning_of_gender_letters(letters: Iterable[str]) -> Mapping[str, int]:
    """Return what the letters of one column mean: 1 male, 2 female. A letter that could be either is left out.

    :param letters: all letters of :data:`GENDER_LETTERS` that the column has, folded.
    """
    seen = set(letters)
    pairs = [pair for pair in _LETTER_PAIRS if seen <= set(pair) and (pair not in _ONLY_AS_A_PAIR or seen == set(pair))]
    meanings = {letter: {1 + pair.index(letter) for pair in pairs} for letter in seen}
    return {letter: found.pop() for letter, found in meanings.items() if len(found) == 1}
