"""Names of months, in English and in the languages of the other words that spreadsheets are filled in with.

A name that means two months in two languages, such as ``listopad``, is left out.
"""

from __future__ import annotations

from altegio_provider.imports.model import normalized_text

__all__ = ["MONTHS"]

#: Each line is a month.
_NAMES = (
    "january jan januar jänner январь января янв січень січня січ janvāris janvārī janv sausis sausio "
    "jaanuar enero ene janvier gennaio gen janeiro styczeń stycznia sty ocak oca",
    "february feb februar feber февраль февраля фев лютий лютого лют februāris februārī vasaris vasario veebruar "
    "veebr febrero février févr febbraio fevereiro fev luty lutego lut şubat şub",
    "march mar märz mrz март марта мар березень березня бер marts martā kovas kovo märts marzo mars março "
    "marzec marca mart",
    "april apr апрель апреля апр квітень квітня квіт aprīlis aprīlī balandis balandžio aprill abril abr avril avr "
    "aprile kwiecień kwietnia kwi nisan nis",
    "may mai май мая травень травня трав maijs maijā gegužė gegužės mayo maggio mag maio maj maja mayıs",
    "june jun juni июнь июня июн червень червня черв jūnijs jūnijā jūn birželis birželio juuni junio juin giugno giu "
    "junho czerwiec czerwca cze haziran haz",
    "july jul juli июль июля июл липень липня лип jūlijs jūlijā jūl liepa liepos juuli julio juillet juil luglio lug "
    "julho lipiec lipca lip temmuz tem",
    "august aug август августа авг серпень серпня серп augusts augustā rugpjūtis rugpjūčio agosto ago août sierpień "
    "sierpnia sie ağustos ağu",
    "september sep sept сентябрь сентября сен сент вересень вересня вер septembris septembrī rugsėjis rugsėjo "
    "septiembre septembre settembre set setembro wrzesień września wrz eylül eyl",
    "october oct oktober okt октябрь октября окт жовтень жовтня жовт oktobris oktobrī spalis spalio oktoober octubre "
    "octobre ottobre ott outubro out październik października paź ekim eki",
    "november nov ноябрь ноября ноя нояб novembris novembrī lapkritis lapkričio noviembre novembre novembro kasım kas",
    "december dec dezember dez декабрь декабря дек грудень грудня груд decembris decembrī gruodis gruodžio "
    "detsember dets diciembre dic décembre déc dicembre dezembro grudzień grudnia gru aralık ara",
)

#: Folded name to the number of the month.
MONTHS = {normalized_text(name): number for number, names in enumerate(_NAMES, 1) for name in names.split()}
