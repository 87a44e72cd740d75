/*
 * guard_report.c
 *		DDL that would break a migration: refused, or said.
 *
 * Whoever may call a function can name it in a rule of theirs.  They must not
 * stop its owner from renaming it thereby, nor is an owner who has let somebody
 * in to break their writes unawares.  So DDL is refused to those who can end the
 * migration themselves, and to those who have granted its table's owner
 * something by name; to others it is said what they break.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "core/compat.h"
#include "core/quoting.h"
#include "ddl/guard_report.h"

static const char *
hint_for(Oid relid)
{
	if (compat_is_table_owner(relid, GetUserId()))
		return "End the migration first, with tandem.contract or tandem.abort.";
	return psprintf("The owner of table %s can end the migration by contract or abort; the owner of the database, or a superuser, can abort it.",
					quoting_relation(relid));
}

void
guard_refuse(CommandTag tag, const char *migration, Oid relid,
			 const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("%s would break migration \"%s\"",
					GetCommandTagName(tag), migration),
			 errdetail("After it: %s.", problem),
			 errhint("%s", hint_for(relid))));
}

void
guard_refuse_or_warn(CommandTag tag, const char *migration, Oid relid,
					 const char *problem, bool granted)
{
	if (granted || compat_is_table_owner(relid, GetUserId()))
		guard_refuse(tag, migration, relid, problem);
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("%s breaks migration \"%s\", which is not yours",
					GetCommandTagName(tag), migration),
			 errdetail("After it: %s.", problem),
			 errhint("Tell the owner of table %s: until this is undone or the migration is ended, writes fail or are not synced.",
					 quoting_relation(relid))));
}
