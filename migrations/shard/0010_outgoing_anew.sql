DROP TABLE `outgoing_recipient`;--> statement-breakpoint
DROP TABLE `outgoing`;
