// date-fns: the arithmetic of dates, with the words of several languages.
import { addBusinessDays, differenceInCalendarDays, eachWeekendOfMonth, format, formatDistance, formatISO, intervalToDuration, isValid, parse, parseISO, startOfWeek } from 'date-fns';
import { de, fr, ja } from 'date-fns/locale';

const day = new Date(2026, 10, 21, 22, 5);

export default {
	fetch() {
		return Response.json({
			format: format(day, "EEEE, do MMMM yyyy, HH:mm 'o''clock', QQQ"),
			de: format(day, 'PPPP', { locale: de }),
			fr: format(day, 'PPPP', { locale: fr }),
			ja: format(day, 'PPPP', { locale: ja }),
			distance: formatDistance(new Date(2026, 0, 1), day, { addSuffix: true }),
			business: formatISO(addBusinessDays(day, 10), { representation: 'date' }),
			days: differenceInCalendarDays(parseISO('2027-01-01'), day),
			weekends: eachWeekendOfMonth(day).length,
			duration: intervalToDuration({ start: new Date(2020, 1, 29), end: day }),
			parsed: formatISO(parse('3/Feb/2024', 'd/MMM/yyyy', day), { representation: 'date' }),
			invalid: isValid(parse('31.02.2024', 'dd.MM.yyyy', day)),
			monday: format(startOfWeek(day, { weekStartsOn: 1 }), 'yyyy-MM-dd'),
		});
	},
};
