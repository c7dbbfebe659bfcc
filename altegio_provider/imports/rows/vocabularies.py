"""Words for gender, yes and no, in the languages of the people who fill in spreadsheets."""

from __future__ import annotations

from altegio_provider.imports.model import normalized_text

__all__ = ["BOOLEANS", "GENDERS"]


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
        "1, m, male, man, mr, mr., männlich, maennlich, mann, herr, м, муж, муж., мужской, мужчина, чол, чоловік, "
        "чоловіча, vīrietis, vyras, mees, masculino, hombre, varón, h, masculin, homme, maschio, uomo, homem, "
        "mężczyzna, erkek, ер"
    ),
    female=(
        "2, f, female, woman, ms, ms., mrs, mrs., miss, weiblich, w, frau, ж, жен, жен., женский, женщина, жін, жінка, "
        "жіноча, sieviete, s, moteris, naine, femenino, mujer, féminin, feminin, femme, femmina, donna, feminino, "
        "mulher, kobieta, k, kadın, әйел"
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
